"""`python -m pipelines.cli`: the command where its script is not on the path."""

from pipelines.cli.main import main

main()
