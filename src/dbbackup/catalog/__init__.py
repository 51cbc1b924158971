"""What is stored, where, and what may go."""
