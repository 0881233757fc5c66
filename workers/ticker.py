"""Celery's beat in this process: it sends tasks at their times and keeps nothing."""

from celery.apps.beat import Beat

from workers.app import app, configure
from workers.exporter import export_metrics
from workers.gauges import SiteGauges
from workers.runtime import Runtime


def tick(runtime: Runtime) -> None:
    """Send what is due until the process is told to stop."""
    configure(app, runtime.settings)
    export_metrics(runtime.settings, SiteGauges(runtime))
    # a file of the default scheduler is never opened: the one of the app's settings keeps none
    Beat(app=app, loglevel=runtime.settings.log_level.upper(), quiet=True).run()
