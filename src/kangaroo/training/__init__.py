"""The curriculum: one loop, stages that differ in values and not in code."""
