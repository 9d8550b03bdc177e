"""From a lab's logs to the table of runs."""
