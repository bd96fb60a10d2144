"""Explorer: the widget. It holds small restorable traits and public methods, and hands everything on to its session."""

from __future__ import annotations

import asyncio
import os
import weakref
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets

from dr_explorer import motifs as channel_motifs
from dr_explorer.ascent import Ascent
from dr_explorer.names import checked_names, target_columns
from dr_explorer.resolution import Resolution
from dr_explorer.settings import checked_targets
from dr_explorer.tail import Tail, list_layers
from dr_explorer.widget import frames, page
from dr_explorer.widget.arguments import check_names, check_settings, sorted_arguments
from dr_explorer.widget.plan import Plan
from dr_explorer.widget.protocol import COMMANDS, Message, pack
from dr_explorer.widget.recorded import NO_MODEL, Recorded
from dr_explorer.widget.selection import NO_SELECTION, as_indices, valid
from dr_explorer.widget.session import Session

STATIC = Path(__file__).parent / "static"
NOTHING_YET = "nothing has run yet: call run() first"
CLOSED = "this explorer was closed: make another one"


class Explorer(anywidget.AnyWidget):
    """See live what a trained network has learned at one layer.

    Parameters
    ----------
    model : the trained network; it is not touched.
    layer : dotted name of the module whose output is the feature map, or the module; None takes the suggested one.
    example_input : tensor (N, 4, L), or a tuple of the model's inputs.
    targets, target_names, output, device, n_restarts, l2, rule, init, random_state, ... : as for `dr_explorer.resolve`.
    name : what the view calls the network; default the name of its class.
    sequences : one-hot (N, 4, L), real ones, for reading pairs of channels; where None, ones the network makes up.
    backgrounds : one-hot (M, 4, L) of sequences without the motifs, to read pairs on, as for `pairwise`.

    Examples
    --------
    >>> explorer = dr.Explorer(model, example_input=torch.zeros(1, 4, 1000), target_names=tissues)
    >>> explorer.run()  # as the last line of a cell this shows the view

    Raises
    ------
    TypeError, ValueError
        For bad input, before anything runs.
    """

    # As text: given as paths, anywidget would watch the files, and its watch holds every widget for ever.
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    #: What is selected in every view: indices of ``target``, ``other`` (the compared class), ``channel``, ``pair``
    #: (two channels), ``clade`` (classes) and ``restart``, or None. Set it with `select`; observe it as any trait.
    selection = traitlets.Dict().tag(sync=True)
    #: What a notebook opened without a kernel shows; empty until a run has come to rest.
    snapshot = traitlets.Bytes().tag(sync=True)

    def __init__(
        self,
        model: torch.nn.Module,
        layer: str | torch.nn.Module | None = None,
        *,
        example_input: torch.Tensor | tuple[torch.Tensor, ...],
        name: str | None = None,
        sequences: np.ndarray | torch.Tensor | None = None,
        backgrounds: np.ndarray | torch.Tensor | None = None,
        **resolve_arguments: Any,
    ) -> None:
        cut, settings = sorted_arguments(resolve_arguments)
        tail = Tail(model, layer, example_input=example_input, output=cut.get("output"), device=cut.get("device"))
        names = checked_names(cut.get("target_names"), tail.n_targets)
        columns = checked_targets(target_columns(cut.get("targets"), names), tail.n_targets)
        check_settings(settings)
        layers = _layer_table(list_layers(model, example_input, output=cut.get("output")))
        tails = {tail.layer: tail}

        def begin(layer: str, settings: dict[str, Any]) -> Ascent:
            if layer not in tails:
                tails.clear()  # one copy of the network at a time
                tails[layer] = Tail(
                    model, layer, example_input=example_input, output=cut.get("output"), device=cut.get("device")
                )
            return Ascent(tails[layer], targets=columns, **settings)

        def describe(run: Ascent | None, settings: dict[str, Any]) -> Message:
            tail = next(iter(tails.values())) if run is None else run.tail
            return frames.meta(
                model=name or type(model).__name__,
                device=str(tail.device),
                layer=tail.layer,
                layers=layers,
                targets=self_names,
                shape=tail.shape,
                rule=settings["rule"],
                l2=settings.get("l2") if run is None else run.l2,
                logos=_logos(tail.first_layer()),
            )

        self_names = [names[c] for c in columns]
        self._open(Plan(begin, describe, tail.layer, settings, sequences, backgrounds), self_names)

    @classmethod
    def from_resolution(cls, resolution: Resolution, *, name: str = "saved result") -> Explorer:
        """Show a result that is there already, without a model: everything but running works.

        Parameters
        ----------
        resolution : what `dr_explorer.resolve` returned or `Resolution.load` read.
        name : what the view calls it.
        """
        data = resolution.dataset

        def begin(layer: str, settings: dict[str, Any]) -> Ascent:
            raise RuntimeError(NO_MODEL)

        def describe(run: Recorded, settings: dict[str, Any]) -> Message:
            kernels = data.first_layer.values if "first_layer" in data else None
            shape = (data.sizes["channel"], *([data.sizes["position"]] if "position" in data.sizes else []))
            return frames.meta(
                model=name,
                device="",
                layer=str(data.attrs.get("layer", "")),
                layers=[],
                targets=resolution.targets,
                shape=shape,
                rule=run.rule_name,
                l2=run.l2,
                logos=_logos(kernels),
                fixed=True,
            )

        explorer = cls.__new__(cls)
        plan = Plan(begin, describe, str(data.attrs.get("layer", "")))
        explorer._open(plan, resolution.targets, run=Recorded(resolution))
        return explorer

    def _open(self, plan: Plan, names: list[str], run: Any = None) -> None:
        self._names = names
        me = weakref.ref(self)

        def deliver(header: dict[str, Any], buffers: list[bytes]) -> bool:
            widget = me()
            if widget is None or widget.comm is None:
                return False
            widget.send(header, buffers)
            return True

        def finished() -> None:
            if (widget := me()) is not None:
                widget._keep_snapshot()

        self._session = Session(plan, deliver, finished=finished, run=run)
        self._main = _running_loop()
        self._kept: bytes | None = None  # the snapshot that the session made last
        super().__init__(selection=dict(NO_SELECTION), _esm=_bundled("index.js"), _css=_bundled("index.css"))
        # ipykernel (7.4) hands a page's messages to the shell that last used the comm: so far, the one whose cell
        # opened it. Forgetting that lets them in while a later cell of the same Run All keeps that shell busy.
        vars(self.comm).pop("_reply_subshell_id", None)
        self.on_msg(_received)
        self.observe(_selection_changed, "selection")
        weakref.finalize(self, self._session.close)
        if run is not None:
            self._session.post("settle").result()

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self) -> Explorer:
        """Start the ascent (again), in the background; returns the explorer, so that the cell shows it."""
        if self.comm is None:
            raise RuntimeError(CLOSED)
        self._session.post("run")
        return self

    def pause(self) -> None:
        """Hold the ascent where it is."""
        self._session.post("pause")

    def resume(self) -> None:
        """Go on after `pause`."""
        self._session.post("resume")

    def stop(self) -> None:
        """End the ascent here, keeping what it has reached."""
        self._session.post("stop")

    def set(self, **changes: Any) -> None:
        """Change ``l2``, ``n_restarts`` or ``layer`` while it runs: maps re-ascend from where they are.

        Another layer has other channels: a selected channel, pair or restart is let go of.
        """
        check_names(changes, COMMANDS["set"], "set")
        layer = self._session.plan.layer
        self._session.post("set", **changes).result()
        if self._session.plan.layer != layer:
            self.select(channel=None, pair=None, restart=None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, in a script or a cell, until the ascent has come to rest; False when ``timeout`` seconds passed first.

        Raises
        ------
        Exception
            What ended the ascent, if an error did.
        """
        rested = self._session.at_rest.wait(timeout)
        if rested and self._main is _running_loop():
            self._take_snapshot()  # within this cell: what comes later nbconvert does not hear
        if self._session.error is not None:
            raise self._session.error
        return rested

    @property
    def state(self) -> str:
        """ "idle", "running", "paused", "stopped", "done" or "failed"."""
        return self._session.state

    @property
    def resolution(self) -> Resolution:
        """What has been found so far; unfinished trials are marked so and left out of its readings."""

        def labelled(run: Any) -> Resolution:
            if run is None:
                raise RuntimeError(NOTHING_YET)
            return run.resolution if isinstance(run, Recorded) else Resolution.from_ascent(run, self._names)

        return self._session.post("call", function=labelled).result()

    def to_html(self, path: str | os.PathLike) -> None:
        """Write the view as one HTML file that anybody can explore: no Python, no kernel, no network.

        It holds every class in detail (readings with their intervals, convergence lines, the best restart's feature
        map), the class tree, and the pairs that have been read and shown. A run that has not ended is written as it
        stands, and the page says so; the run goes on meanwhile. A view of more than 8 MB is rounded: importances to a
        1,000th (of a restart) or 30,000th (of a class) of the class's largest, feature maps to the positions of its
        strongest channels, as the page's last line says.

        Parameters
        ----------
        path : the file; what is there is replaced when the new one is complete.

        Raises
        ------
        RuntimeError
            Where nothing has run yet.
        OSError
            Where it cannot be written; says where and why.

        Examples
        --------
        >>> dr.Explorer.from_resolution(resolution).to_html("conv3.html")
        """
        standing = self._session.post("standing").result()
        if standing is None:
            raise RuntimeError(NOTHING_YET)
        standing.selection = dict(self.selection)
        page.write(standing, path, script=_bundled("page.js"), style=_bundled("index.css"))

    # -- selecting -----------------------------------------------------------------------------------------------------

    def select(self, **parts: Any) -> None:
        """Select in every view: ``target``, ``other``, ``channel``, ``pair``, ``clade`` or ``restart``; None clears.

        Parts not named stay as they are. Classes are given by name or position.

        Raises
        ------
        TypeError, ValueError
            For a part that there is none of, or a class, channel or pair that is not there.

        Examples
        --------
        >>> explorer.select(target="GATA1", pair=(3, 17))
        """
        check_names(parts, tuple(NO_SELECTION), "select")
        self.selection = {**NO_SELECTION, **self.selection, **as_indices(parts, self._names, self._session.n_channels)}

    @traitlets.validate("selection")
    def _valid_selection(self, proposal: Any) -> dict[str, Any]:
        """Pages and users may send anything: what is no index is cleared."""
        return valid(proposal["value"], len(self._names))

    # -- messages ------------------------------------------------------------------------------------------------------

    def _keep_snapshot(self) -> None:
        """On the session's thread: put what there is to see into the trait, on the thread traits belong to."""
        self._kept = pack(self._session._do_snapshot())
        me = weakref.ref(self)

        def take() -> None:
            if (widget := me()) is not None:
                widget._take_snapshot()

        if self._main is None or self._main.is_closed():
            take()
        else:
            self._main.call_soon_threadsafe(take, context=self._session.outlet.context())

    def _take_snapshot(self) -> None:
        if self._kept is not None and self.comm is not None:
            self.snapshot = self._kept

    def close(self) -> None:
        """End the session's thread and take the view off every page."""
        if "_session" in vars(self):  # bad input ends the making of a widget before it has one
            self._session.close()
            super().close()


@cache
def _bundled(name: str) -> str:
    """A file of the page's side, which the package's build makes from js/."""
    try:
        return (STATIC / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RuntimeError(
            "the view's JavaScript is missing: this is a source tree that was never built; "
            "run `pip install -e .` in it (it builds js/), or install a wheel"
        ) from None


def _received(widget: Explorer, content: dict[str, Any], buffers: list[Any]) -> None:
    """A page's message, on whatever thread the kernel chose: queue it and return."""
    kind, session = content.get("type"), widget._session
    session.outlet.heard()
    if kind == "hello":
        session.post("hello")
    elif kind == "ack":
        session.post("ack", seq=int(content["seq"]))
    elif kind == "command":
        _obey(session, content)


def _obey(session: Session, content: dict[str, Any]) -> None:
    name, args, number = content.get("name"), content.get("args") or {}, content.get("id")
    reply = {"type": "reply", "id": number, "ok": True, "error": None}
    if name not in COMMANDS or not set(args) <= set(COMMANDS[name]):
        error = f"no command {name!r} with {sorted(args)}"
        session.post("reply", message=Message({**reply, "ok": False, "error": error}))
        return

    def answer(future: Future) -> None:
        error = future.exception()
        told = reply if error is None else {**reply, "ok": False, "error": str(error)}
        session.post("reply", message=Message(told))

    session.post(name, **args).add_done_callback(answer)


def _selection_changed(change: dict[str, Any]) -> None:
    change["owner"]._session.post("select", selection=change["new"])


def _layer_table(table: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": str(row.name_),
            "type": str(row.type_),
            "shape": [int(n) for n in row.shape_],
            "cut": str(row.cut_),
            "suggested": bool(row.suggested_),
        }
        for row in table.rename(columns=lambda c: f"{c}_").itertuples()
        if row.cut_ != "no"
    ]


def _logos(kernels: np.ndarray | None) -> np.ndarray | None:
    return None if kernels is None else channel_motifs.ppm_from_weights(kernels)


def _running_loop() -> Any:
    """The event loop of the thread that made the widget: where its traits may be set. None in a plain script."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
