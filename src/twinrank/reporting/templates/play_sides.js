// The two images of the page: drawings that are corrupted here, or files as they are.
const PEN = 22;
const STEP = 10;
const DIGITS = { left: "8", right: "7" };
// Files that browsers show; a network of photographs takes more.
const SHOWN = "image/png,image/jpeg,image/webp,image/gif,image/bmp,image/avif,image/svg+xml";

class Side {
  constructor(name, changed) {
    Object.assign(this, { name, changed, pen: { x: 140, y: 140, down: false }, isExample: false, content: emptyContent() });
    this.drawing = at(`draw-${name}`);
    this.drawing.getContext("2d", { willReadFrequently: true });
    this.listen();
  }

  // What the network gets, in base64; null while there is nothing.
  get file() {
    return this.content.file;
  }

  listen() {
    const canvas = this.drawing;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.replaceExample();
      this.stroke(this.point(event), this.point(event));
      this.last = this.point(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.last) return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) {
        this.stroke(this.last, this.point(each));
        this.last = this.point(each);
      }
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => {
        if (this.last) this.drawn();
        this.last = null;
      });
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    at(`clear-${this.name}`).addEventListener("click", () => this.clear());
    at(`file-${this.name}`).addEventListener("change", (event) => {
      if (event.target.files[0]) this.take(event.target.files[0]);
      event.target.value = "";
    });
    const section = at(`side-${this.name}`);
    section.addEventListener("dragover", (event) => {
      event.preventDefault();
      section.classList.add("over");
    });
    section.addEventListener("dragleave", () => section.classList.remove("over"));
    section.addEventListener("drop", (event) => {
      event.preventDefault();
      section.classList.remove("over");
      if (event.dataTransfer.files[0]) this.take(event.dataTransfer.files[0]);
    });
  }

  point(event) {
    const box = this.drawing.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * 280, y: ((event.clientY - box.top) / box.height) * 280 };
  }

  stroke(from, to) {
    const context = this.drawing.getContext("2d");
    Object.assign(context, { strokeStyle: "#fff", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y + 0.01);
    context.stroke();
  }

  // The first stroke takes the place of an example; later ones go on with the drawing.
  replaceExample() {
    if (this.isExample) this.wipe();
  }

  example(digit) {
    this.write(digit);
    this.isExample = true;
  }

  wipe() {
    this.isExample = false;
    const context = this.drawing.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, 280, 280);
    return context;
  }

  write(digit) {
    const context = this.wipe();
    Object.assign(context, { fillStyle: "#fff", font: "500 250px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
    context.fillText(digit, 140, 152);
    this.drawn();
  }

  clear() {
    this.wipe();
    this.content = emptyContent();
    this.show();
    this.changed();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (/^[0-9]$/.test(event.key)) this.write(event.key);
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else if (event.key === " ") {
      this.pen.down = !this.pen.down;
      announce(this.pen.down ? "The pen is down." : "The pen is lifted.");
      this.replaceExample();
      if (this.pen.down) this.stroke(this.pen, this.pen);
      this.drawn();
    } else if (event.key in moves) {
      const [right, down] = moves[event.key].map((each) => each * STEP * (event.shiftKey ? 4 : 1));
      const to = { ...this.pen, x: Math.min(270, Math.max(10, this.pen.x + right)), y: Math.min(270, Math.max(10, this.pen.y + down)) };
      if (this.pen.down) this.stroke(this.pen, to);
      this.pen = to;
      this.drawn();
    } else return;
    event.preventDefault();
  }

  // A new drawing has a cover of its own; a stroke more keeps it.
  drawn() {
    const { width, height } = chosen();
    this.content = { ...this.content, clean: centred(this.drawing, width, height), exact: null, name: "" };
    this.render();
  }

  async take(file) {
    try {
      if (!chosen().drawn) {
        this.content = { ...emptyContent(), file: await base64(file), name: file.name, picture: await picture(file) };
        this.show();
        return this.changed();
      }
      const bitmap = await createImageBitmap(file);
      const { width, height } = chosen();
      if (bitmap.width === width && bitmap.height === height) {
        const small = canvasOf(width, height);
        small.getContext("2d").drawImage(bitmap, 0, 0);
        this.wipe().drawImage(bitmap, 0, 0, 280, 280);
        this.content = { ...this.content, exact: greys(small), clean: null, name: file.name };
        return this.render();
      }
      this.trace(bitmap);
    } catch (error) {
      trouble(`${file.name || "This file"}: this browser cannot read it as an image; save it as PNG.`);
    }
  }

  // A picture as a drawing: bright on black, whichever way it was.
  trace(bitmap) {
    const context = this.wipe();
    const scale = 280 / Math.max(bitmap.width, bitmap.height);
    const [wide, high] = [bitmap.width * scale, bitmap.height * scale];
    context.drawImage(bitmap, (280 - wide) / 2, (280 - high) / 2, wide, high);
    const image = context.getImageData(0, 0, 280, 280);
    const corner = image.data.subarray(4 * Math.ceil((280 - high) / 2) * 280 + 4 * Math.ceil((280 - wide) / 2));
    const bright = corner[0] + corner[1] + corner[2] > 384;
    if (bright) {
      context.globalCompositeOperation = "difference";
      context.fillStyle = "#fff";
      context.fillRect((280 - wide) / 2, (280 - high) / 2, wide, high);
      context.globalCompositeOperation = "source-over";
    }
    this.drawn();
  }

  render() {
    const { width, height } = chosen();
    const { clean, exact, seed } = this.content;
    const pixels = exact || (clean && corrupted(clean, width, height, seed, Number(at("cover").value)));
    this.content.pixels = pixels;
    this.content.file = pixels ? asFile(pixels, width, height) : null;
    this.show();
    this.changed();
  }

  show() {
    const shown = at(`shown-${this.name}`);
    const { pixels, picture: image, name, exact } = this.content;
    at(`heat-${this.name}`).hidden = true;
    if (pixels) paint(shown, pixels, chosen().width, chosen().height);
    else if (image) {
      const scale = Math.min(1, 800 / Math.max(image.width, image.height));
      Object.assign(shown, { width: Math.max(1, image.width * scale), height: Math.max(1, image.height * scale) });
      shown.getContext("2d").drawImage(image, 0, 0, shown.width, shown.height);
    } else Object.assign(shown, { width: shown.width, height: shown.height });
    at(`what-${this.name}`).textContent = name ? `${name}${exact ? ", as it is" : ""}` : pixels ? "as the network gets it" : this.content.file ? "" : "no image yet";
  }

  // The image as the network gets it, cut or with margins, so that spots lie where they belong.
  async showNetworks(file) {
    const image = new Image();
    image.src = `data:image/png;base64,${file}`;
    await image.decode();
    const shown = Object.assign(at(`shown-${this.name}`), { width: image.naturalWidth, height: image.naturalHeight });
    shown.getContext("2d").drawImage(image, 0, 0);
    at(`what-${this.name}`).textContent = `${this.content.name}, as the network gets it`;
  }

  // The drawing of the other side comes here, too.
  exchange(other) {
    [this.content, other.content] = [other.content, this.content];
    [this.isExample, other.isExample] = [other.isExample, this.isExample];
    const [mine, theirs] = [this, other].map((side) => side.drawing.getContext("2d").getImageData(0, 0, 280, 280));
    this.drawing.getContext("2d").putImageData(theirs, 0, 0);
    other.drawing.getContext("2d").putImageData(mine, 0, 0);
    this.show();
    other.show();
  }
}

function emptyContent() {
  return { file: null, name: "", clean: null, exact: null, pixels: null, picture: null, seed: (Math.random() * 2 ** 32) >>> 0 };
}

function asFile(pixels, width, height) {
  const canvas = canvasOf(width, height);
  paint(canvas, pixels, width, height);
  return canvas.toDataURL("image/png").split(",")[1];
}

function base64(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result.slice(reader.result.indexOf(",") + 1)));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(file);
  });
}

// The browser may not show what the server reads, such as TIFF.
async function picture(file) {
  try {
    return await createImageBitmap(file);
  } catch (error) {
    return null;
  }
}
