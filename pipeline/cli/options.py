"""Settings as command-line options: one definition gives the flag, its variable and its help text."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from pipeline.cli.settings_table import shown_default
from tracelink.settings import Settings, flag_of, variable_of

F = TypeVar("F", bound=Callable[..., Any])


class SettingOption(click.Option):
    """The flag of a setting; the docs list settings apart from other options."""


def settings_options(
    settings: type[Settings], *, only: tuple[str, ...] | None = None, defaults: Mapping[str, str] | None = None
) -> Callable[[F], F]:
    """Add an option for each setting of a class, or for `only` these, to be passed to `Settings.load`.

    The values are text: the settings validate them in the same way for all sources. `defaults` has what the help shows
    for settings whose default is another one for this command.
    """

    def decorate(function: F) -> F:
        for name, field in reversed(settings.model_fields.items()):
            if only is not None and name not in only:
                continue
            default = (defaults or {}).get(name) or shown_default(settings, name)
            shown = f" [default: {default}]" if default else ""
            help_text = f"{field.description}{shown} [env: {variable_of(name)}]"
            function = click.option(flag_of(name), name, cls=SettingOption, metavar="VALUE", help=help_text)(function)
        return function

    return decorate
