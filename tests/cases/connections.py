"""The connections of this process to its broker."""

from kombu import pools

from workers.app import app


def hang_up() -> None:
    """Forget them, so that the next test makes its own."""
    pools.reset()
    app.close()
    app.amqp._producer_pool = None
