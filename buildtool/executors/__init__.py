"""Where jobs run. Knows commands, processes and workers; knows neither graph, freshness nor state."""
