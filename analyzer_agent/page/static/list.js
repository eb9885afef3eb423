// A list of very many rows, of which only those in view exist.

const ROW_PX = 44;
const AROUND_PX = 400;

export class VirtualList {
  /**
   * @param box the element that scrolls, with the role `listbox`
   * @param make returns the element of an item: `make(item, index)`
   */
  constructor(box, make) {
    this.box = box;
    this.make = make;
    this.items = [];
    this.heights = new Float32Array(0);
    this.tops = new Float64Array(1);
    this.rows = new Map();
    this.canvas = document.createElement("div");
    this.canvas.setAttribute("role", "presentation");
    this.canvas.className = "rows";
    box.append(this.canvas);
    box.addEventListener("scroll", () => this.#render(), { passive: true });
    this.width = 0;
    new ResizeObserver(() => {
      if (this.box.clientWidth !== this.width) this.#forget();
      this.#render();
    }).observe(box);
  }

  show(items) {
    this.items = items;
    this.heights = new Float32Array(items.length).fill(ROW_PX);
    this.#measure(0);
    this.refresh();
    this.box.scrollTop = 0;
    this.#render();
  }

  /** Make the rows in view anew. */
  refresh() {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
    this.#render();
  }

  row(index) {
    return this.rows.get(index);
  }

  /** Scroll as little as needed to show a row. */
  reveal(index) {
    if (index < 0 || !this.box.clientHeight) return;
    // Heights are known once rows were in view, so a second pass corrects the first.
    for (let pass = 0; pass < 3; pass += 1) {
      const [top, bottom] = [this.tops[index], this.tops[index + 1]];
      const { scrollTop, clientHeight } = this.box;
      if (top >= scrollTop && bottom <= scrollTop + clientHeight) break;
      this.box.scrollTop = top < scrollTop || bottom - top > clientHeight ? top - 8 : bottom - clientHeight + 8;
      this.#render();
    }
  }

  #forget() {
    this.width = this.box.clientWidth;
    this.heights.fill(ROW_PX);
    this.#measure(0);
    this.refresh();
  }

  /** Sum up the heights from a row on. */
  #measure(from) {
    if (this.tops.length !== this.items.length + 1) this.tops = new Float64Array(this.items.length + 1);
    for (let n = from; n < this.items.length; n += 1) this.tops[n + 1] = this.tops[n] + this.heights[n];
    this.canvas.style.height = `${this.tops[this.items.length]}px`;
  }

  #first(at) {
    let [low, high] = [0, this.items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle + 1] <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #render() {
    const { clientHeight } = this.box;
    if (!clientHeight) return;
    const { scrollTop } = this.box;
    const first = this.#first(scrollTop - AROUND_PX);
    let last = first;
    const made = [];
    for (let y = this.tops[first]; last < this.items.length && y < scrollTop + clientHeight + AROUND_PX; last += 1) {
      if (!this.rows.has(last)) made.push(this.#add(last));
      y = this.tops[last + 1];
    }
    for (const [index, row] of this.rows) {
      if (index >= first && index < last) continue;
      row.remove();
      this.rows.delete(index);
    }
    this.#fit(made, first, last);
  }

  #add(index) {
    const row = this.make(this.items[index], index);
    row.setAttribute("aria-setsize", this.items.length);
    row.setAttribute("aria-posinset", index + 1);
    this.rows.set(index, row);
    this.canvas.append(row);
    return index;
  }

  /** Measure new rows, and keep in place what is in view. */
  #fit(made, first, last) {
    const anchor = this.#first(this.box.scrollTop);
    const before = this.tops[anchor];
    let changed = this.items.length;
    for (const [index, height] of made.map((index) => [index, this.rows.get(index).offsetHeight])) {
      if (Math.abs(this.heights[index] - height) < 0.5) continue;
      this.heights[index] = height;
      changed = Math.min(changed, index);
    }
    if (changed < this.items.length) {
      this.#measure(changed);
      if (this.tops[anchor] !== before) this.box.scrollTop += this.tops[anchor] - before;
    }
    for (let n = first; n < last; n += 1) this.rows.get(n).style.transform = `translateY(${this.tops[n]}px)`;
  }
}
