"""What can be told of a clip's pictures: pure functions from frames to numbers."""
