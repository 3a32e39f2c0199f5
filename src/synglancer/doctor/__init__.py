"""Whether this machine can make, open and photograph links; and if not, why."""
