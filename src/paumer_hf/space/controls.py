# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What Gradio's controls lack for keyboards, screen readers and phones: a style, and a script beside it.

The script writes only attributes and is told when Gradio writes them anew, so that the two do not get in each other's
way. It expects the elements `examples`, `choice` and `message`, and `target` where a speed can be asked for.
"""

CONTROL_STYLE = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
.gradio-container { --block-info-text-color: var(--body-text-color); --block-title-text-weight: 600;
  --block-title-text-color: var(--body-text-color); }
@media (max-width: 600px) { .gradio-container .main.fillable { padding: 12px 10px; } }
#examples, #examples .gallery-container, #examples .grid-wrap { height: auto !important; min-height: 0 !important; }
#examples .grid-wrap { overflow: visible; }
#examples .grid-container { padding-top: 1.9rem; grid-template: auto / repeat(3, minmax(0, 1fr));
  grid-auto-rows: auto; }
#examples .thumbnail-item { display: block; aspect-ratio: auto; height: auto; }
#examples .thumbnail-item img { display: block; aspect-ratio: 4 / 3; height: auto; }
#examples .thumbnail-item .caption-label { position: static; max-width: none; padding: 0.15rem 0.25rem; border: 0;
  border-radius: 0; opacity: 1; color: var(--body-text-color); font-size: 0.8rem; line-height: 1.3; text-align: center;
  white-space: normal; overflow-wrap: anywhere; }
#upload .wrap { padding-top: 1.5rem; line-height: 1.3; }
#target .min_value, #target .max_value { color: var(--body-text-color); }
#target :has(> input[type="number"]) { display: none; }
#target[data-value]::after { display: block; margin-top: 0.3rem; font-weight: 600; text-align: center;
  content: "at least " attr(data-value) " times as fast"; }
#choice input:hover { border-color: var(--body-text-color); }
#choice input:checked { border-color: var(--checkbox-border-color-selected);
  background-color: var(--checkbox-background-color-selected); }
#examples button:focus-visible, #upload button:focus-visible, #choice label:has(input:focus-visible),
#target input:focus-visible { outline: 3px solid var(--body-text-color) !important; outline-offset: 2px; }
#upload button:focus-visible { outline-offset: -3px; }
#target input:focus-visible { outline-offset: 6px; border-radius: 2px; }
#message { scroll-margin-top: 0.75rem; }
"""
"""The number box of the slider is hidden, because Gradio refuses what is typed there before the page can answer. Radio
buttons keep their dot under the pointer, where Gradio takes it away."""

SCRIPT = """() => {
    const set = (element, name, value) => {
        if (element && element.getAttribute(name) !== value) { element.setAttribute(name, value); }
    };
    const amend = () => {
        // Screen readers announce what changes in a live region.
        set(document.getElementById("message"), "aria-live", "polite");
        // Radio buttons of one name are one group: a single stop of the tabulator, and arrow keys move within.
        const choice = document.getElementById("choice");
        set(choice, "role", "radiogroup");
        set(choice, "aria-label", choice?.querySelector("[data-testid=block-info]")?.textContent || "");
        choice?.querySelectorAll("input[type=radio]").forEach((radio) => set(radio, "name", "choice"));
        document.querySelectorAll("#examples button").forEach((button) => {
            const image = button.querySelector("img");
            if (image) { set(button, "aria-label", `Example image: ${image.alt}`); }
            set(button, "aria-pressed", String(button.classList.contains("selected")));
        });
        const range = document.querySelector("#target input[type=range]");
        if (range) {
            const value = Number(range.value).toFixed(2);
            set(document.getElementById("target"), "data-value", value);
            set(range, "aria-valuetext", `${value} times as fast`);
        }
    };
    new MutationObserver(amend).observe(document.body, {
        subtree: true, childList: true, attributeFilter: ["aria-label", "class", "name", "style"],
    });
    document.addEventListener("input", amend);
    amend();

    // On narrow screens the message stands below the controls. It is scrolled to, but not while the slider is dragged.
    let held = false;
    const reveal = () => {
        const message = document.getElementById("message");
        const { top } = message.getBoundingClientRect();
        const isBelow = top >= document.getElementById("choice").getBoundingClientRect().bottom;
        if (held || !isBelow || (top >= 0 && top < window.innerHeight / 2)) { return; }
        const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
        message.scrollIntoView({ behavior: still ? "instant" : "smooth", block: "start" });
    };
    let waits = false;
    const release = () => {
        held = false;
        if (waits) { reveal(); }
        waits = false;
    };
    document.addEventListener("pointerdown", () => { held = true; }, true);
    document.addEventListener("pointerup", release, true);
    document.addEventListener("pointercancel", release, true);
    window.paumerReveal = () => {
        waits = held;
        reveal();
    };
}"""
"""JavaScript that Gradio runs once when the page is there. It defines `paumerReveal`, which shows the message."""

REVEAL = "() => { window.paumerReveal?.(); }"
"""JavaScript of an event after which the message shall be seen."""


__all__ = ["CONTROL_STYLE", "REVEAL", "SCRIPT"]
