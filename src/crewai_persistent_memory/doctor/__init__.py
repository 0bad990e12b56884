"""Why memory "does not persist": the checks that people make by hand, as a report. See ``docs/doctor.md``."""
