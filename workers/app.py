"""The Celery app: queues and settings that are safe with Redis.

The database holds the truth and messages are wake-up calls, so a message is acknowledged early: with late
acknowledgement a Redis restart can end the worker and a connection blip runs a task twice, while a lost message is
sent again by the sweep.
"""

from typing import Any

from celery import Celery

from workers.engine.protocol import Checkpoint
from workers.settings import Settings, get_settings


def extract_queue(checkpoint: Checkpoint) -> str:
    """The queue of a checkpoint: workers with different models live side by side."""
    return queue_of(checkpoint.digest)


# of the sweep, which every worker takes
CONTROL_QUEUE = "control"


def queue_of(digest: str) -> str:
    """The queue of the checkpoint with this digest."""
    return f"extract-{digest[:12]}"


def configure(app: Celery, settings: Settings) -> None:
    """Point the app at the broker of these settings instead of the environment's."""
    app.conf.update(_conf(settings))


def _conf(settings: Settings) -> dict[str, Any]:
    """Celery's settings; without a broker, tasks run only in the calling process."""
    return {
        "broker_url": settings.broker or "memory://",
        "result_backend": None,
        "task_ignore_result": True,
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_create_missing_queues": True,
        "task_acks_late": False,
        "task_publish_retry": False,
        # they share one engine; a fork would break CUDA
        "worker_pool": "threads",
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            # longer than any chunk; only prefetched messages wait this long, since tasks are acknowledged early
            "visibility_timeout": 3600,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        "enable_utc": True,
        "beat_schedule": {
            "sweep": {
                "task": "gleaner.sweep",
                "schedule": settings.sweep_s,
                # without workers, ticks would pile up
                "options": {"queue": CONTROL_QUEUE, "expires": settings.sweep_s},
            }
        },
        # in memory: the default one keeps a file that is read by unpickling
        "beat_scheduler": "celery.beat:Scheduler",
    }


app = Celery("gleaner", include=["workers.tasks"], set_as_current=False)
# read when first needed: an import must not fail on a setting, nor a command that needs none
app.add_defaults(lambda: _conf(get_settings()))
