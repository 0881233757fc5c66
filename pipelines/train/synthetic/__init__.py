"""Training data made by code: random schemas in many genres, and documents for the catalog's schemas."""

from pipelines.train.synthetic.samples import RECIPES, Recipe, Sample, preview, sample, samples

__all__ = ["RECIPES", "Recipe", "Sample", "preview", "sample", "samples"]
