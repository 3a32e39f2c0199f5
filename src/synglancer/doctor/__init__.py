"""Check whether this machine can make, open and screenshot links; and if not, why."""
