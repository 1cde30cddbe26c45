"""Graph to graph. One transform per module; `pipeline.py` says what a transform is and what runs when."""
