"""The command `gleaner`: one file a group of commands, put together in `main`."""
