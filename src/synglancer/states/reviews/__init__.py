"""Write reviews into states, and read the reviewers' marks back."""
