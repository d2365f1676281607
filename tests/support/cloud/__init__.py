"""A stand-in for Coiled's control plane, for tests, on loopback alone.

It answers the calls that the unmodified `coiled` client makes and starts real schedulers and workers of `distributed`
as the machines of a cluster, over TLS. Only facts of the wire interface are used. It is no substitute for the service.

What is modelled: the life of clusters, names, scaling, keepalive and idle timeouts, package sync (uploaded wheels are
unpacked on the machines; of other packages, those with another version become stubs), tags, faults. What is not:
clouds, costs, containers.
"""

from support.cloud.control import Cloud, can_hide

__all__ = ["Cloud", "can_hide"]
