"""One module a command: its options and what it prints. What is heavy is imported when the command runs."""
