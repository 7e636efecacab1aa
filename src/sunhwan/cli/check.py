"""``sunhwan check``: what is installed, what runs here, and whether its numbers are right."""

from __future__ import annotations

import typer

from sunhwan.errors import SunhwanError


def check() -> None:
    """Show versions, processor and kernels, and test the numbers in a few seconds.

    Exits with 1 if a number is wrong or Keras cannot start. Missing kernels are told, and are no
    failure: everything runs without them, only slower.
    """
    from sunhwan import environment
    from sunhwan.engine import native

    facts = environment.describe()
    for name, value in facts.items():
        _show(name, value)
    _show_kernels(int(facts["cores"]))
    backend, trouble = _keras_backend()
    _show("backend", backend)
    wrong = _show_self_test()
    if native.available():
        _show("arena", f"{native.module().arena_bytes() / 2**20:.1f} MiB held for the next call")
    if trouble:
        raise SunhwanError(trouble, hint="set KERAS_BACKEND=jax, or install that backend")
    if wrong:
        raise SunhwanError(
            f"the self-test must stay within its tolerances, but {', '.join(wrong)} did not",
            hint="SUNHWAN_ISA=baseline or none avoids the kernels in question; please report this",
        )
    typer.echo("\nAll is well." if native.available() else "\nAll is well, without kernels.")
    typer.echo("next: sunhwan reproduce --list")


def _show(name: str, value: object) -> None:
    typer.echo(f"{name:<10}{value}")


def _keras_backend() -> tuple[str, str]:
    """Keras's backend with a remark, and what is wrong with it."""
    import os

    try:
        import keras
    except ModuleNotFoundError as error:
        named = os.environ.get("KERAS_BACKEND", "of keras.json")
        return named, f"Keras cannot start with the backend {named}: {error}"
    name = keras.backend.backend()
    return (name, "") if name == "jax" else (f"{name}: the kernels serve jax only", "")


def _show_kernels(cores: int) -> None:
    """Which instruction sets there are and which runs, or why none does."""
    import os

    from sunhwan.engine import native

    if not native.available():
        _show("kernels", f"none: {native.why_missing()}; plain JAX runs instead")
        _show("", f"to get them: {native.how_to_get()}")
        return
    active = native.active_isa()
    forced = " (SUNHWAN_ISA)" if os.environ.get("SUNHWAN_ISA") else ""
    _show("kernels", f"{active}{forced}, of {', '.join(native.available_isas())}")
    limit = os.environ.get("SUNHWAN_THREADS")
    threads = min(cores, int(limit)) if limit else cores
    _show("threads", f"{threads}{' (SUNHWAN_THREADS)' if limit else ''}")


def _show_self_test() -> list[str]:
    """Run the self-test; the names of what is wrong."""
    from sunhwan.cli.self_test import run

    wrong = []
    for found in run():
        share = "exact" if found.worst == 0 else f"{found.worst:.0%} of the tolerance"
        if not found.is_right:
            wrong.append(found.name)
        _show("self-test", f"{found.name}: {'ok' if found.is_right else 'WRONG'}, {share}")
    return wrong
