"""Builds, then builds again whenever something that matters has changed."""
