"""The passes over all rows, as tasks for any process, and the runners of these tasks."""
