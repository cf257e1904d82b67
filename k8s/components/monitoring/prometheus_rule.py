"""Makes rules.yaml, which the operator of Prometheus reads, of the rules that deploy/ gives to a Prometheus of its own.

python k8s/components/monitoring/prometheus_rule.py
"""

from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
SOURCES: Final = HERE.parents[2] / "deploy" / "prometheus" / "rules"
_HEAD: Final = """# Generated of deploy/prometheus/rules by prometheus_rule.py beside it: change them there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: argosy
  namespace: argosy
spec:
  groups:
"""


def prometheus_rule() -> str:
    """Return the text of rules.yaml: every group of every file, as it stands there."""
    text = _HEAD
    for path in sorted(SOURCES.glob("*.yml")):
        _, groups = path.read_text(encoding="utf-8").split("\ngroups:\n")
        text += "".join(f"  {line}\n" if line else "\n" for line in groups.rstrip().split("\n"))
    return text


if __name__ == "__main__":
    (HERE / "rules.yaml").write_text(prometheus_rule(), encoding="utf-8")
