/** Mouse, pen, fingers and wheel on the views. */
class Gestures {
  constructor(root, comparison) {
    Object.assign(this, { comparison, pointers: new Map() });
    root.addEventListener("pointerdown", (event) => this.down(event));
    root.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) root.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    root.addEventListener("dblclick", (event) => {
      const view = event.target.closest(".view");
      if (view) this.comparison.zoomBy(2, ...shareOf(view, event));
    });
  }

  down(event) {
    const held = event.target.closest(".view, .divider");
    if (!held || event.button !== 0) return;
    held.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, held });
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { ...before, x: event.clientX, y: event.clientY };
    const { width, height } = before.held.getBoundingClientRect();
    if (before.held.matches(".divider")) {
      const [x] = shareOf(this.comparison.stage, event);
      this.comparison.setSplit(100 * x);
    } else if (this.pointers.size === 1) {
      this.comparison.panBy((now.x - before.x) / width, (now.y - before.y) / height);
    } else {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const distance = ({ x, y }) => Math.hypot(x - other.x, y - other.y) || 1;
      const middle = { clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 };
      this.comparison.zoomBy(distance(now) / distance(before), ...shareOf(before.held, middle));
    }
    this.pointers.set(event.pointerId, now);
  }

  wheel(event) {
    const view = event.target.closest(".view");
    if (!view || !(event.ctrlKey || event.metaKey)) return; // the page scrolls
    event.preventDefault();
    this.comparison.zoomBy(2 ** (-event.deltaY / 200), ...shareOf(view, event));
  }
}

/** Where in a node, as a share of its sides. */
function shareOf(node, { clientX, clientY }) {
  const { left, top, width, height } = node.getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height];
}
