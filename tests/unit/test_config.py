"""Where settings are read from."""

import json
from pathlib import Path

import pytest

from argosy import config
from argosy.errors import SettingError


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
