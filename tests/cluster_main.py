"""The program behind ray_cluster.py: a Ray cluster on this machine; each line that it reads adds or kills a node."""

from __future__ import annotations

import json
import sys
from typing import Any

from lean_ray import start_lean_rays
from ray.cluster_utils import Cluster

STORE_BYTES = 80 * 1024**2


def main() -> None:
    start_lean_rays()
    settings: dict[str, Any] = {"object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**settings, "num_cpus": 0})
    nodes = {"head": cluster.head_node}
    print(json.dumps({"address": cluster.address}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "add" in request:
            node = cluster.add_node(**settings, **request["settings"])
            nodes[request["add"]] = node
            print(json.dumps({"node": node.node_id}), flush=True)
        else:
            cluster.remove_node(nodes.pop(request["kill"]), allow_graceful=False)
            print(json.dumps({}), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
