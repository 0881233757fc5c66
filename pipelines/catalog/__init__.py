"""Pipelines that every installation of this tree has; your own are found by GLEANER_PIPELINES."""
