"""Settings decide how links are made."""

from __future__ import annotations

import pytest

from links.published import publish
from publish.sample import serve
from synglancer.links.kinds.publication import PublishingMaker
from synglancer.links.kinds.source import SourceMaker
from synglancer.links.kinds.synapse import SynapseMaker
from synglancer.links.makers import open_maker
from synglancer.settings import Settings


@pytest.mark.parametrize("kind", [SynapseMaker, PublishingMaker, SourceMaker])
def test_each_kind_of_link_has_its_maker(tmp_path, kind) -> None:
    """It has the settings, the command for the history, and the token."""
    with serve(publish(tmp_path)) as address:
        options = {
            SynapseMaker: {},
            PublishingMaker: {"publish_to": "out"},
            SourceMaker: {"source": address},
        }[kind]
        settings = Settings(**options, version=1718, layout="3d", server="https://a.org")
        maker = open_maker(settings, ["make-link", "5"], "a-known-token")
    assert type(maker) is kind
    assert maker._settings.layout == "3d"
    assert maker._command == ["make-link", "5"]
    assert maker._session.token == "a-known-token"


def test_the_sample_is_published_for_the_sandbox_only(tmp_path, monkeypatch) -> None:
    """Elsewhere, the word is the name of a folder."""
    with serve(publish(tmp_path)) as address:
        monkeypatch.setattr(
            "synglancer.links.kinds.sample_source.publish_sample",
            lambda settings: address if settings.sandbox else None,
        )
        maker = open_maker(Settings(source="sample", sandbox=True))
        assert maker._address == address
        monkeypatch.chdir(tmp_path)
        (tmp_path / "source").rename(tmp_path / "sample")
        for sandbox, source in [(False, "sample"), (True, "./sample")]:
            with serve(tmp_path / "sample") as public:
                settings = Settings(source=source, sandbox=sandbox, public_url=public)
                assert open_maker(settings)._address == public
