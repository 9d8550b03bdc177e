"""From any lab's logs to a clean table of runs.

    SOURCE --source--> files --detect--> parts of readers --read--> segments, bulk tables      (their names, their units)
      --normalise--> our columns in raw units          (names.py: one table of what their names mean)
      --database--> results/<name>/lab.duckdb: segments and their points, as logged
      --stitch, clean--> which points of which segment count, and why the others do not
      --finals--> one row per run: final loss, tokens, schedule, hours
      --reconcile--> the same beside the plan --> runs.csv

A **segment** is one piece of one run as one source holds it: what a process logged from a start to its end. A run is one or
more segments, joined by `run_id` where the planner's own id travelled, else by the key in the source, else by equal configs
whose steps continue each other. A **point** is one step of a segment. Points are kept as they were logged: cleaning marks them
with a reason and never deletes, so that `--keep REASON` can take them back.

How to write a reader (`planner/logs/readers/NAME.py`, then one line in `readers/__init__.py`):

- `claim(source)` says which files of a source it reads, in parts that are read together (a run's folder; one file). It looks
  at names and at `head(file)`, opens no connection and raises nothing on strange bytes. A URI is claimed by its scheme.
- `read(parts)` gives a `Log`: an iterator of `Segment`s, made one at a time, so that a thousand runs never stand in memory at
  once; or, for rows of many runs in files that DuckDB reads in place, a `Bulk`.
- Names and units stay theirs. What a name means goes into `names.py` with its source; a name that means different things in
  different tools goes there under the segment's `dialect`.
- What cannot be read is skipped and counted in `Log.skipped` by reason ("a line cut in half"); a file that is not readable at
  all is an InputError with its place. A tracker that fails is tried again a few times and is then a WorldError: segments
  yielded before it are kept.
- Nothing is unpickled or evaluated; every file comes from `Source.files`, which never leave the folder that was given; places
  in messages come from `Source.place`, which carries no credentials.

This room opens files and writes one: the database, through `database.py`.
"""
