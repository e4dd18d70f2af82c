"""One room per kind of task: how its models are built and sized, checked, probed, kept and measured."""
