"""Every command explains itself."""

import re
from dataclasses import fields

import pytest

from twinrank.cli import commands, networks
from twinrank.cli.commands import FAMILIES, GROUPS, SUBCOMMANDS
from twinrank.cli.main import main
from twinrank.config import TrainConfig
from twinrank.runs import PRETRAINED

NAMES = [name for group in GROUPS.values() for name in group]
COMMANDS = [
    *([name] for name in NAMES if name not in {*FAMILIES, "train"}),
    *([family, name] for family, names in (FAMILIES | SUBCOMMANDS).items() for name in names),
    *(["train", name] for name in ("order_net", "resnet-fusion")),
]


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    return capsys.readouterr().out


def listed(page: str) -> dict[str, str]:
    return dict(re.findall(r"^  (\w\S*)  +(\S.*)$", page, re.MULTILINE))


def test_commands_stand_in_groups_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed(["--help"], capsys)
    assert re.findall(r"^(\w[\w ]*\w)(?: \(.*\))?:$", page, re.MULTILINE) == [*GROUPS, "Options"]
    assert all(f"({commands.PURPOSES[group]}):" in page for group in GROUPS)
    assert [*listed(page)] == NAMES
    assert all(len(line) <= 100 for line in page.splitlines())
    assert printed(["-h"], capsys) == printed(["help"], capsys) == page


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_describes_its_commands(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = printed([family, "--help"], capsys)
    assert [*listed(page)] == [*FAMILIES[family]]
    assert commands.about(family) in page


def test_networks_stand_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed(["train", "--help"], capsys)
    names = {name for group in networks.networks().values() for name in group}
    assert listed(page).keys() == names


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    page = printed([*arguments, "--help"], capsys)
    assert page.startswith(f"usage: twinrank {' '.join(arguments).replace('-', '_')} [-h]")
    assert printed(["help", *arguments], capsys) == page
    assert "{None}" not in page


def test_a_training_from_a_run_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed(["train", f"run:{PRETRAINED}", "--help"], capsys)
    assert page.startswith(f"usage: twinrank train run:{PRETRAINED} [-h]")
    assert "(default: 2,2,2)" in page


def test_flags_of_a_training_stand_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed(["train", "order_net", "--help"], capsys)
    groups = re.findall(r"(\w+) options\b", page)
    assert groups == ["run", "images", "network", *networks.VALUES]
    for flag in ("--train FILE", "--out FOLDER", "--width INT", "--lr FLOAT", "--log-to SINK[,SINK]"):
        assert flag in page


def test_every_training_value_is_in_one_group() -> None:
    grouped = [*networks.RUN, *(name for names in networks.VALUES.values() for name in names)]
    assert sorted(grouped) == sorted(each.name for each in fields(TrainConfig))
    assert networks.descriptions().keys() == {*grouped}


def test_without_a_command_the_page_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed(["--help"], capsys)
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert capsys.readouterr() == ("", page)
