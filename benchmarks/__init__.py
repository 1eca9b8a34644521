"""Speed, size, start-up and memory beside other runtimes, on the same models and weights."""
