"""Where settings are read from."""

import json
import traceback
from pathlib import Path

import pytest

from argosy import config
from argosy.errors import SettingError
from argosy.shards.view import CYPHER_SIZE_BYTES_MAX, PARAMS_SIZE_BYTES_MAX


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment whose working folder and config.json are the test's own."""
    monkeypatch.chdir(tmp_path)
    return {"ARGOSY_CONFIG_DIR": str(tmp_path / "config")}


def write_config(environ: dict[str, str], content: object) -> None:
    folder = Path(environ["ARGOSY_CONFIG_DIR"])
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(content))


def test_the_environment_wins_over_dotenv_and_that_over_config_json(environ: dict[str, str]) -> None:
    write_config(environ, {"port": 1, "lane": "of-json", "log_level": "error"})
    Path(".env").write_text("PORT=2\nLANE=of-dotenv\n")

    settings = config.load(environ | {"PORT": "3"})

    assert (settings.port, settings.lane, settings.log_level) == (3, "of-dotenv", "error")


def test_ladder_names_without_use_are_listed_wherever_they_stand(environ: dict[str, str]) -> None:
    write_config(environ, {"graph_backend": "x", "port": 1})
    Path(".env").write_text("# comment\nKG_LOOP=1\nPORT=2\n")

    assert config.names_without_use(environ | {"FLEET_RECONCILER": "1", "HOME": "/"}) == [
        "FLEET_RECONCILER",
        "GRAPH_BACKEND",
        "KG_LOOP",
    ]
    assert config.names_without_use({"ARGOSY_CONFIG_DIR": "/nowhere"}) == ["KG_LOOP"]


def test_an_unknown_name_of_ours_stops_the_start_and_says_where_it_stands(environ: dict[str, str]) -> None:
    Path(".env").write_text("ARGOSY_WORKFLOW=typo\n")

    with pytest.raises(SettingError, match=r"ARGOSY_WORKFLOW \(in .env\) is not a setting"):
        config.load(environ)


SERVICE_LINKS = {
    "SERVICE_HOST": "10.0.0.7",
    "SERVICE_PORT": "9000",
    "SERVICE_PORT_HTTP": "9000",
    "PORT": "tcp://10.0.0.7:9000",
    "PORT_9000_TCP": "tcp://10.0.0.7:9000",
    "PORT_9000_TCP_PROTO": "tcp",
    "PORT_9000_TCP_PORT": "9000",
    "PORT_9000_TCP_ADDR": "10.0.0.7",
}


@pytest.mark.parametrize("service", ["ARGOSY", "ARGOSY_GATEWAY", "GRPC", "METRICS"])
def test_what_kubernetes_says_of_a_service_is_no_setting(environ: dict[str, str], service: str) -> None:
    links = {f"{service}_{name}": value for name, value in SERVICE_LINKS.items()}

    assert config.load(environ | links) == config.load(environ)


def test_a_secret_in_a_file_that_a_command_does_not_read_is_no_unknown_name(environ: dict[str, str]) -> None:
    environ |= {"ARGOSY_ADMIN_TOKEN_FILE": "/nowhere"}

    assert config.load(environ, used=frozenset({"argosy_token"})).argosy_token == ""


def test_a_name_of_ours_that_only_resembles_a_service_link_stops_the_start(environ: dict[str, str]) -> None:
    for name, value in {
        "ARGOSY_PORT": "9000",
        "ARGOSY_SERVICE": "x",
        "ARGOSY_PORT_9000": "tcp://10.0.0.7:9000",
    }.items():
        with pytest.raises(SettingError, match=rf"{name} \(in the environment\) is not a setting"):
            config.load(environ | {name: value})


def test_a_port_that_is_neither_a_number_nor_a_service_link_stops_the_start(environ: dict[str, str]) -> None:
    assert config.load(environ | {"PORT": "tcp://10.0.0.7:80"}).port == 9000
    with pytest.raises(SettingError, match="PORT='http://x'"):
        config.load(environ | {"PORT": "http://x"})


@pytest.mark.parametrize(
    ("given", "level"),
    [("INFO", "info"), ("Warn", "warning"), ("WARNING", "warning"), ("critical", "error"), (" debug ", "debug")],
)
def test_a_level_may_be_written_as_anybody_writes_it(environ: dict[str, str], given: str, level: str) -> None:
    assert config.load(environ | {"LOG_LEVEL": given}).log_level == level


def test_a_log_format_is_passed_over_when_it_is_a_template_and_refused_when_it_is_a_typo(
    environ: dict[str, str],
) -> None:
    for template in ("%(asctime)s %(message)s", "{time} {level}", "%h %l %u"):
        assert config.load(environ | {"LOG_FORMAT": template}).log_format == "console"
    with pytest.raises(SettingError, match="LOG_FORMAT='jsno'"):
        config.load(environ | {"LOG_FORMAT": "jsno"})


def test_inside_somebodys_program_only_names_that_begin_with_argosy_are_read(environ: dict[str, str]) -> None:
    Path(".env").write_text("LOG_LEVEL=nonsense\nPORT=8000\nDISPATCH_SLOTS=7\n")
    others = {
        "LANE": "EU West",
        "HOST": "x86_64-conda-linux-gnu",
        "PORT": "x",
        "DISPATCH_SLOTS": "9",
        "LOG_FORMAT": "x",
    }

    settings = config.load(environ | others | {"ARGOSY_BUILD": "mine"}, is_embedded=True)

    assert settings == config.load(environ | {"ARGOSY_BUILD": "mine"}, is_embedded=True)
    assert settings.argosy_build == "mine"
    with pytest.raises(SettingError, match="ARGOSY_WORKFLOW"):
        config.load(environ | {"ARGOSY_WORKFLOW": "typo"}, is_embedded=True)


def test_what_a_process_does_not_use_cannot_stop_it(environ: dict[str, str]) -> None:
    used = {"state_db_uri", "log_level"}

    settings = config.load(environ | {"LANE": "EU West", "STATE_DB_URI": "postgresql://h/d"}, used=used)

    assert (settings.lane, settings.state_db_uri) == ("default", "postgresql://h/d")
    with pytest.raises(SettingError, match="LOG_LEVEL"):
        config.load(environ | {"LOG_LEVEL": "x"}, used=used)


def test_a_query_may_be_as_long_as_views_take_and_no_longer(environ: dict[str, str]) -> None:
    longest = {
        "GRAPH_QUERY_SIZE_BYTES_MAX": CYPHER_SIZE_BYTES_MAX,
        "GRAPH_PARAMS_SIZE_BYTES_MAX": PARAMS_SIZE_BYTES_MAX,
    }

    config.load(environ | {name: str(size) for name, size in longest.items()})

    for name, size in longest.items():
        with pytest.raises(SettingError, match=name):
            config.load(environ | {name: str(size + 1)})


def test_a_silent_shard_is_looked_at_before_what_it_was_asked_is_given_up(environ: dict[str, str]) -> None:
    config.load(environ | {"GRAPH_TIMEOUT_S": "5", "GRAPH_WATCH_S": "2"})

    with pytest.raises(SettingError, match="GRAPH_WATCH_S"):
        config.load(environ | {"GRAPH_TIMEOUT_S": "5", "GRAPH_WATCH_S": "2.5"})


def test_a_dotenv_of_another_editor_counts(environ: dict[str, str]) -> None:
    Path(".env").write_bytes(b"\xef\xbb\xbfLOG_LEVEL=debug\r\nPORT = '8' # eight\r\n")

    settings = config.load(environ)

    assert (settings.log_level, settings.port) == ("debug", 8)


def test_a_dotenv_that_is_no_text_is_one_line(environ: dict[str, str]) -> None:
    Path(".env").write_bytes(b"PORT=\xff\xfe\n")

    with pytest.raises(SettingError, match=r"\.env in /"):
        config.load(environ)


def test_a_user_without_a_home_needs_none(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)

    assert config.load({}).port == 9000
    assert config.default_data_dir() == Path("/var/lib/argosy")


SECRETS = {
    "STATE_DB_URI": "postgresql://user:p4ssword@host/db",
    "KAFKA_SASL_PASSWORD": "p4ssword, with a blank",
    "GRAPH_SERVICE_AUTH_SECRET": "0123456789abcdef0123456789abcdef",
    "GRAPH_SERVICE_AUTH_SECRET_PREVIOUS": "p4ssword from before, which is a long one",
    "ARGOSY_ADMIN_TOKEN": "p4ssword of an administrator, a long one",
    "ARGOSY_TOKEN": "argosy_t_p4ssword",
    "KG_AUTH_TOKEN": "argosy_t_p4ssword",
    "PAYLOAD_KEYS": "p4ssword of payloads",
    "AUTH_OIDC_CLIENT_SECRET": "p4ssword of the console",
}
SHORT = "hunter2" * 4


def test_every_secret_may_stand_in_a_file(environ: dict[str, str], tmp_path: Path) -> None:
    """One that is added has to be added here."""
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(f"{value}\n")

    settings = config.load(environ | {f"{name}_FILE": str(tmp_path / name) for name in SECRETS})

    assert {name: getattr(settings, name.lower()) for name in SECRETS} == SECRETS
    assert {name.upper() for name in config.secret_names()} == SECRETS.keys()


def test_no_setting_that_is_called_a_secret_is_forgotten() -> None:
    suspicious = {
        name
        for name, field in config.Settings.model_fields.items()
        if any(word in name for word in ("password", "secret", "token", "_uri", "_dsn"))
        and field.annotation not in (bool, int, float)  # of tokens: how many, and for how long
    }

    public = {"auth_jwt_jwks_uri"}  # where an issuer publishes its keys

    assert suspicious - set(config.secret_names()) == public


def test_a_secret_of_a_stronger_place_wins_however_it_is_given(environ: dict[str, str], tmp_path: Path) -> None:
    secret_file = tmp_path / "uri"
    secret_file.write_text("postgresql://of/a-file")
    Path(".env").write_text("STATE_DB_URI=postgresql://of/dotenv\nKAFKA_SASL_PASSWORD_FILE=/nowhere\n")

    in_a_file = config.load(environ | {"STATE_DB_URI_FILE": str(secret_file), "KAFKA_SASL_PASSWORD": "p"})
    overridden = config.load(environ | {"STATE_DB_URI_FILE": "/nowhere", "KAFKA_SASL_PASSWORD": "p"}, state_db_uri="")

    assert (in_a_file.state_db_uri, in_a_file.kafka_sasl_password) == ("postgresql://of/a-file", "p")
    assert overridden.state_db_uri == ""


def test_a_secret_given_twice_in_one_place_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(
        SettingError, match=r"^KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE \(both in the env"
    ) as both:
        config.load(environ | {"KAFKA_SASL_PASSWORD": "p4ssword", "KAFKA_SASL_PASSWORD_FILE": "/nowhere"})

    assert "p4ssword" not in str(both.value)
    assert (
        config.load(environ | {"KAFKA_SASL_PASSWORD": "p", "KAFKA_SASL_PASSWORD_FILE": ""}).kafka_sasl_password == "p"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"two\nlines\n", "holds more than one line"),
        (b"nul\0", "characters that cannot be printed"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * 65_537, "is larger than 65536 bytes"),
    ],
    ids=["missing", "empty", "blank", "two lines", "nul", "no text", "large"],
)
def test_a_file_that_holds_no_secret_is_one_line(
    environ: dict[str, str], tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)

    with pytest.raises(SettingError, match=message) as caught:
        config.load(environ | {"STATE_DB_URI_FILE": str(tmp_path / "secret")})

    assert str(caught.value).startswith(f"STATE_DB_URI_FILE={tmp_path / 'secret'} (in the environment): ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["/tmp", "/dev/zero", "/etc/\0x", "x" * 5_000, 7])
def test_what_is_no_file_is_one_line(environ: dict[str, str], path: object) -> None:
    write_config(environ, {"state_db_uri_file": path})

    with pytest.raises(SettingError, match=r"^STATE_DB_URI_FILE=") as caught:
        config.load(environ)

    assert "\n" not in str(caught.value)


def test_a_short_secret_is_refused_in_one_line_that_does_not_show_it(environ: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"^GRAPH_SERVICE_AUTH_SECRET has less than 32 characters") as caught:
        config.load(environ | {**SECRETS, "GRAPH_SERVICE_AUTH_SECRET": SHORT})

    told = "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)
    assert SHORT not in told
    assert "p4ss" not in told


def test_secrets_are_in_no_message_and_no_repr(environ: dict[str, str]) -> None:
    write_config(environ, {"state_db_uri": ["p4ssword"]})

    with pytest.raises(SettingError, match=r"^STATE_DB_URI: ") as caught:
        config.load(environ)

    assert "p4ssword" not in "".join(traceback.format_exception(caught.value))
    assert "p4ss" not in repr(config.load(environ | SECRETS))


@pytest.mark.parametrize(
    ("environ", "stop_s"),
    [
        ({}, 620),
        ({"HANDOVER_S": "5"}, 40),
        ({"HANDOVER_S": "5", "DRAIN_TIMEOUT_S": "300"}, 320),
        ({"HANDOVER_S": "5", "DRAIN_TIMEOUT_S": "0", "DRAIN_WRITE_S": "600"}, 615),
        ({"HANDOVER_S": "5", "GATEWAY_STOP_S": "100"}, 110),
        ({"HANDOVER_S": "5", "SHARD_STOP_S": "50"}, 60),
    ],
)
def test_who_stops_a_process_waits_longer_than_the_process_may_take(environ: dict[str, str], stop_s: float) -> None:
    assert config.load({"ARGOSY_CONFIG_DIR": "/nowhere", **environ}).stop_s == stop_s


@pytest.mark.parametrize("given", ["tcp://one:9101, tcp://two:9102", '["tcp://one:9101", "tcp://two:9102"]'])
def test_endpoints_of_shards_are_a_list_with_commas_or_in_json(given: str) -> None:
    assert config.load({"GRAPH_SERVICE_ENDPOINTS": given}).graph_service_endpoints == ("one:9101", "two:9102")


def test_an_endpoint_that_is_none_stops_the_start_and_is_named() -> None:
    with pytest.raises(SettingError, match=r"GRAPH_SERVICE_ENDPOINTS.*'nowhere'"):
        config.load({"GRAPH_SERVICE_ENDPOINTS": "nowhere"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"KG_AUTH_REQUIRED": "1", "ALLOW_TENANT_HEADER": "1"}, "ALLOW_TENANT_HEADER=1 contradicts KG_AUTH_REQUIRED=1"),
        ({"TURN_RIGHTS_ENFORCED": "1"}, "TURN_RIGHTS_ENFORCED=1 contradicts LOG_RECORDS=unsigned"),
        ({"TOKEN_LIFETIME_S": "601", "TOKEN_LIFETIME_S_MAX": "600"}, "must not be above TOKEN_LIFETIME_S_MAX"),
        ({"KG_BRAIN_ENFORCE": "1"}, "KG_BRAIN_ENFORCE=1 needs KG_AUTH_REQUIRED=1"),
        ({"GRAPHS_SEALED": "1"}, "GRAPHS_SEALED=1 needs PAYLOAD_KEYS"),
        ({"GRAPHS_SEALED": "1", "PAYLOAD_KEYS": "11" * 32, "PAYLOAD_SEALING": "0"}, "and PAYLOAD_SEALING=1"),
        ({"KG_AUTH_TOKEN": SHORT, "ARGOSY_TOKEN": "another"}, "ARGOSY_TOKEN contradicts KG_AUTH_TOKEN"),
        ({"ARGOSY_ADMIN_TOKEN": SHORT + "   "}, "ARGOSY_ADMIN_TOKEN has less than 32 characters"),
    ],
)
def test_settings_of_identity_that_make_no_sense_stop_the_start_in_one_line(
    environ: dict[str, str], given: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingError, match=said) as refused:
        config.load(environ | given)

    assert "\n" not in str(refused.value)
    assert SHORT not in str(refused.value)


def test_names_of_the_ladder_s_secured_rung_have_a_use(environ: dict[str, str]) -> None:
    """As the rung's `.env` has them."""
    given = environ | {
        "KG_AUTH_REQUIRED": "1",
        "AUTH_JWT_JWKS_URI": "https://keycloak.example.internal/realms/agents/protocol/openid-connect/certs",
        "AUTH_JWT_ISSUER": "https://keycloak.example.internal/realms/agents",
        "AUTH_JWT_AUDIENCE": "agent-utilities",
        "KG_AUTH_TOKEN": "eyJhbGciOi...",
        "KG_BRAIN_ENFORCE": "1",
        "KG_ACL_DEFAULT_ALLOW": "0",
    }
    settings = config.load(given)

    assert (settings.kg_brain_enforce, settings.kg_acl_default_allow) == (True, False)
    assert settings.kg_auth_token == "eyJhbGciOi..."
    assert config.names_without_use(given) == []


def test_whoever_must_have_a_token_is_not_believed_a_header(environ: dict[str, str]) -> None:
    assert config.load(environ | {"KG_AUTH_REQUIRED": "1"}).kg_auth_required
    assert config.load(environ | {"ALLOW_TENANT_HEADER": "1"}).allow_tenant_header
