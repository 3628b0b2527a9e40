"""Files for clusters, machines and monitoring."""
