"""A worker process with a scripted engine: `python -m tests.integration.workers.scripted_worker OPTIONS`, as JSON."""

import json
import sys
from pathlib import Path

from tests.cases.worlds import make_runtime
from workers.logs import configure_logs
from workers.serve import serve

if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    runtime = make_runtime(options.pop("database_url"), Path(options.pop("schemas")), **options)
    configure_logs(runtime.settings)
    sys.exit(serve(runtime))
