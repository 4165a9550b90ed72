"""Reads metrics: the kind of each family, and the value of each sample by its name and labels."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
names = [family.name for family in families]
assert len(names) == len(set(names)), "a family is there twice"
for family in families:
    assert family.documentation, family.name
    labels = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
    assert len(labels) == len(set(labels)), f"{family.name} has a sample twice"
    if family.type == "histogram":
        buckets = {}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
                buckets.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
        for values in buckets.values():
            assert values == sorted(values) and values[-1][0] == float("inf"), values
            assert [count for _, count in values] == sorted(count for _, count in values), "it is cumulative"
json.dump([{family.name: family.type} for family in families], sys.stdout)
