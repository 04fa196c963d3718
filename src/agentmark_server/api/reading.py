"""The parameters that traces and spans share, and their ids."""
