"""Redis and PostgreSQL over TLS and with passwords, as a client meets them."""

import datetime
import ipaddress
import os
import pwd
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from schemas.errors import BrokerAwayError, ConfigurationError, DatabaseAwayError
from tests import servers
from tests.cases import parcels
from tests.cases.connections import hang_up
from tests.cases.worlds import enqueue, make_runtime
from tests.integration.workers.conftest import Site
from workers.app import app, configure, extract_queue
from workers.messages import depth, send
from workers.store.migrate import upgrade
from workers.store.session import open_store, reading

PASSWORD = "hunter2 & more/secret"
QUOTED = "hunter2%20%26%20more%2Fsecret"


@dataclass(frozen=True)
class Paper:
    """A certificate for 127.0.0.1 that vouches for itself, its key, and one of somebody else."""

    certificate: Path
    key: Path
    stranger: Path


def make_certificate(path: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.stem)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    key_path.chmod(0o600)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    directory = tmp_path_factory.mktemp("paper")
    made = Paper(directory / "server.pem", directory / "server.key", directory / "stranger.pem")
    make_certificate(made.certificate, made.key)
    make_certificate(made.stranger, directory / "stranger.key")
    return made


def unavailable(reason: object) -> None:
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(reason))


@pytest.fixture(scope="module")
def redis_port(paper: Paper) -> Iterator[int]:
    """Of a server that speaks nothing but TLS and asks for a password."""
    port = servers.free_port()

    def answers() -> None:
        with closing(
            redis.Redis("127.0.0.1", port, ssl=True, ssl_ca_certs=str(paper.certificate), password=PASSWORD)
        ) as client:
            client.ping()

    settings = {
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": str(paper.certificate),
        "tls-key-file": str(paper.key),
        "tls-ca-cert-file": str(paper.certificate),
        "tls-auth-clients": "no",
        "requirepass": PASSWORD,
        "bind": "127.0.0.1",
        "save": "",
    }
    file = paper.certificate.parent / "redis.conf"
    file.write_text("".join(f'{name} "{value}"\n' for name, value in settings.items()))
    try:
        command = [servers.find_binary("redis-server"), str(file)]
        with servers.running(
            command, paper.certificate.parent / "redis.log", answers, user=None, stop=signal.SIGTERM
        ):
            yield port
    except servers.ServerUnavailableError as exc:
        unavailable(exc)


def redis_url(port: int, certificate: Path, password: str = QUOTED) -> str:
    return f"rediss://:{password}@127.0.0.1:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={certificate}"


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[list[Site]]:
    """Those that a test makes; ended with it."""
    made: list[Site] = []
    yield made
    for site in made:
        for worker in site.workers:
            worker.process.kill()
            worker.process.wait()
        site.runtime.store.dispose()
    hang_up()


def make_site(sites: list[Site], directory: Path, broker_url: str) -> Site:
    schemas = parcels.write_schema(directory / "schemas")
    runtime = make_runtime(f"sqlite:///{directory}/g.db", schemas, broker_url=broker_url, chunk_size=8)
    configure(app, runtime.settings)
    sites.append(Site(runtime, directory, []))
    return sites[-1]


def test_a_worker_takes_its_messages_over_tls_and_never_tells_the_password(
    redis_port: int, paper: Paper, sites: list[Site], tmp_path: Path
) -> None:
    site = make_site(sites, tmp_path, redis_url(redis_port, paper.certificate))
    site.enqueue(20)
    assert depth(extract_queue(site.runtime.checkpoint)) == 3
    worker = site.start(log_level="debug").wait_until_ready()
    site.wait_for_ends()
    assert set(site.states()) == {"done"}
    assert worker.stop() == 0
    assert "rediss://" in worker.said
    assert "hunter2" not in worker.said


@pytest.mark.parametrize("fault", ["stranger", "password", "plain"])
def test_redis_is_away_for_whoever_is_not_let_in_and_no_password_is_told(
    redis_port: int, paper: Paper, sites: list[Site], tmp_path: Path, fault: str
) -> None:
    url = {
        "stranger": redis_url(redis_port, paper.stranger),
        "password": redis_url(redis_port, paper.certificate, "hunter2wrong"),
        "plain": f"redis://:{QUOTED}@127.0.0.1:{redis_port}/0",
    }[fault]
    site = make_site(sites, tmp_path, url)
    enqueue(site.runtime, [parcels.text("Ann", "1 cup")])
    with pytest.raises(BrokerAwayError) as caught:
        send(site.runtime, [1])
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__!r}"
    assert site.states() == ["queued"]


@pytest.fixture(scope="module")
def postgres_port(paper: Paper) -> Iterator[int]:
    """Of a server that lets the user `careful` in over TLS with a password, and not otherwise."""
    try:
        with servers.postgres_files() as files:
            key = files.directory / "server.key"
            shutil.copy(paper.key, key)
            key.chmod(0o600)
            shutil.copy(paper.certificate, files.directory / "server.pem")
            (files.directory / "server.pem").chmod(0o644)
            if files.user:
                os.chown(key, pwd.getpwnam(files.user).pw_uid, -1)
            hba = files.directory / "hba.conf"
            hba.write_text(
                "hostssl all careful 127.0.0.1/32 scram-sha-256\nhost all gleaner 127.0.0.1/32 trust\n"
            )
            hba.chmod(0o644)
            with files.running(
                ssl="on",
                ssl_cert_file=str(files.directory / "server.pem"),
                ssl_key_file=str(key),
                hba_file=str(hba),
            ):
                with psycopg.connect(files.url.replace("+psycopg", ""), autocommit=True) as conn:
                    conn.execute(f"CREATE ROLE careful LOGIN PASSWORD '{PASSWORD}'")
                    conn.execute("CREATE DATABASE kept OWNER careful")
                yield files.port
    except servers.ServerUnavailableError as exc:
        unavailable(exc)


def postgres_url(port: int, options: str, password: str = QUOTED) -> str:
    return f"postgresql://careful:{password}@127.0.0.1:{port}/kept?{options}"


def test_the_store_works_over_tls_with_a_password(postgres_port: int, paper: Paper) -> None:
    store = open_store(postgres_url(postgres_port, f"sslmode=verify-full&sslrootcert={paper.certificate}"))
    try:
        upgrade(store)
        with reading(store) as conn:
            asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert conn.exec_driver_sql(asked).scalar_one() is True
            assert conn.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one() == 0
        assert "hunter2" not in f"{store!r}{store.url}"
    finally:
        store.dispose()


@pytest.mark.parametrize("fault", ["stranger", "password", "plain"])
def test_postgresql_refuses_whoever_it_does_not_know_and_no_password_is_told(
    postgres_port: int, paper: Paper, fault: str
) -> None:
    safe = f"sslmode=verify-full&sslrootcert={paper.certificate}"
    url = {
        "stranger": postgres_url(postgres_port, safe.replace("server.pem", "stranger.pem")),
        "password": postgres_url(postgres_port, safe, "hunter2wrong"),
        "plain": postgres_url(postgres_port, "sslmode=disable"),
    }[fault]
    store = open_store(url)
    try:
        with pytest.raises((ConfigurationError, DatabaseAwayError)) as caught, reading(store):
            pass
    finally:
        store.dispose()
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__!r}"
