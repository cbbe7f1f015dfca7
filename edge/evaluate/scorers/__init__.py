"""One scorer a task: takes one picture after the other, keeps counts, and gives figures in the end."""
