"""The dashboard and the alerts of docker/ are what Grafana and Prometheus understand.

That their metrics exist is tested where a worker is scraped, in tests/integration/workers/test_metrics.py.
"""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.cases.promql import DASHBOARD, DOCKER, RULES, expressions, missing, wanted
from tests.unit.test_docker import COMPOSE, SERVICES
from workers.settings import Settings

PROMETHEUS: dict[str, Any] = yaml.safe_load((DOCKER / "prometheus.yml").read_text())


def test_what_an_expression_asks_for_is_found() -> None:
    assert wanted('sum by (a) (rate(x_total{b="1"}[5m])) > on (c) max(y)') == {
        ("x_total", frozenset({"b"})),
        ("x_total", frozenset({"a"})),
        ("y", frozenset()),
    }
    assert wanted('up{job="gleaner"} == 0') == set()
    with pytest.raises(ValueError):
        wanted("sum(x")
    assert missing(set())


def test_every_expression_is_promql() -> None:
    assert len(list(expressions())) > 30
    for _, expression in expressions():
        # `up` alone asks for nothing of ours
        assert wanted(expression) or "up{" in expression


def test_every_alert_says_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 10
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "action"}
        assert re.fullmatch(r"\d+m", rule.get("for", "1m"))


def test_panels_have_a_place_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["targets"]


def test_prometheus_asks_the_services_that_show_metrics() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    # the alerts and the dashboard name it
    assert job["job_name"] == "gleaner"
    (found,) = job["dns_sd_configs"]
    for name in found["names"]:
        given = SERVICES[name]["environment"]
        assert given["GLEANER_METRICS_PORT"] == str(found["port"])
        assert given["GLEANER_METRICS_HOST"] == "0.0.0.0"
        assert "ports" not in SERVICES[name]
        assert SERVICES[name]["command"][0] in {"worker", "beat"}
    assert Settings(_env_file=None, metrics_port="9464").metrics_port == found["port"]


def test_who_watches_is_reached_from_this_machine_alone_and_by_a_password() -> None:
    watching = {name for name, service in SERVICES.items() if service.get("profiles") == ["watch"]}
    assert watching == {"prometheus", "grafana", "flower"}
    for name in watching:
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])
    assert "WATCH_PASSWORD" in SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
    assert "WATCH_PASSWORD" in SERVICES["flower"]["environment"]["FLOWER_BASIC_AUTH"]


def test_what_is_mounted_exists_and_lies_where_it_is_looked_for() -> None:
    mounts = {
        (name, source): target
        for name, service in SERVICES.items()
        for source, target, *_ in (volume.split(":") for volume in service.get("volumes", ()))
        if source.startswith("./")
    }
    assert len(mounts) == 5
    assert [source for _, source in mounts if not (DOCKER / source).is_file()] == []
    assert PROMETHEUS["rule_files"] == [mounts["prometheus", "./alerts.yaml"]]
    assert f"--config.file={mounts['prometheus', './prometheus.yml']}" in SERVICES["prometheus"]["command"]
    (provider,) = yaml.safe_load((DOCKER / "grafana/dashboards.yaml").read_text())["providers"]
    assert mounts["grafana", "./grafana/gleaner.json"].startswith(provider["options"]["path"])
    (source,) = yaml.safe_load((DOCKER / "grafana/datasource.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_services_that_are_waited_for_exist() -> None:
    for service in SERVICES.values():
        assert service.get("depends_on", {}).keys() <= SERVICES.keys()
    assert COMPOSE["volumes"].keys() >= {"prometheus", "grafana"}


def test_alerts_fire_when_they_should_and_not_else() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: Debian's package prometheus has it")
    cases = DOCKER.parent / "tests" / "cases" / "alerts_test.yaml"
    ran = subprocess.run([promtool, "test", "rules", cases], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
