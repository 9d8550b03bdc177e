"""A plan as job arrays of a Slurm cluster whose nodes share this machine's disk.

    launch --scheduler--> sbatch, squeue, scancel          task (on a node) --> log, outcome
    launch --book--> state/slurm/: what was submitted      judging: what a task's end means
    launch: standing (who is open), attempts (again, or over), submitting (arrays)

The truth about a run is the outcome that its task wrote (lab/local/places.py); the truth about the queue is Slurm's. The
launcher keeps only what neither knows: which array holds which runs. It writes that down before it calls sbatch, under a
name that the job bears as its comment, so a submission that was made and not recorded is found again and never made twice.
Should one be made twice in spite of that, a run is still trained once: its task holds the run's lock and looks at its outcome.
"""
