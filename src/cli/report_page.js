// The script of a report page: draws the curves, the spectrum and the map. Plain JavaScript, inlined as it is.
(() => {
  const run = JSON.parse(document.getElementById('data').textContent);
  const find = (selector, from = document) => from.querySelector(selector);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const minus = (text) => text.replace('-', '−');
  const text = (value, digits) => (value == null ? '–' : minus(value.toFixed(digits)));

  // ---- curves and spectrum (uPlot) ----

  const font = '12px system-ui, sans-serif';
  const axis = (more) => ({
    stroke: () => colour('muted'),
    grid: { stroke: () => colour('grid'), width: 1 },
    ticks: { show: false },
    font,
    ...more,
  });
  const sign = (values) => values.map((value) => (value == null ? value : minus(String(value))));

  const ink = (name, more) => ({ stroke: () => colour(name), points: { show: false }, ...more });

  /** Makes a chart that follows its element's width; theme changes only need new ink. */
  const charts = [];
  function chart(element, options, data) {
    const size = () => ({ width: element.clientWidth, height: element.clientHeight });
    const plot = new uPlot(
      {
        ...{ ...size(), legend: { show: false }, padding: [12, 12, 0, 0], ...options },
        scales: { x: { time: false }, ...options.scales },
        cursor: { drag: { x: false, y: false }, ...options.cursor },
      },
      data,
      element,
    );
    new ResizeObserver(() => element.clientWidth !== plot.width && plot.setSize(size())).observe(element);
    charts.push(plot);
  }

  /** Exponential weights on both sides: a one-sided average would lag behind a falling loss. */
  function smoothed(values) {
    const keep = Math.exp(-1 / Math.max(1, values.length / 60));
    const pass = (list) => {
      let [sum, weight] = [0, 0];
      return list.map((value) => {
        [sum, weight] = [keep * sum + (value ?? 0), keep * weight + (value == null ? 0 : 1)];
        return [sum, weight];
      });
    };
    const before = pass(values);
    const after = pass(values.toReversed()).toReversed();
    return values.map((value, i) => {
      // Both passes count the value itself.
      const weight = before[i][1] + after[i][1] - 1;
      return value == null ? null : (before[i][0] + after[i][0] - value) / weight;
    });
  }

  /** Writes a name above the last series, a constant. */
  const named = (name) => (plot) => {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    const value = plot.data.at(-1)[0];
    ctx.save();
    ctx.font = `${12 * ratio}px system-ui, sans-serif`;
    ctx.fillStyle = colour('muted');
    ctx.textAlign = 'left';
    const y = plot.valToPos(value, 'y', true);
    ctx.fillText(
      name,
      bbox.left + 4 * ratio,
      y - 5 * ratio > bbox.top + 10 * ratio ? y - 5 * ratio : y + 14 * ratio,
    );
    ctx.restore();
  };

  for (const { key, digits, smooth, values, target } of run.curves) {
    const readout = find(`#curve-${key}-value`);
    const last = values.findLastIndex((value) => value != null);
    const say = (at) => {
      const i = at ?? last;
      readout.textContent = `${text(values[i], digits)} at step ${run.steps[i]}`;
    };
    say();
    const line = (more) => ink('trained', { width: 1.75, points: { show: values.length < 3 }, ...more });
    const lines = [
      [line(smooth && { alpha: 0.35, width: 1 }), values],
      ...(smooth ? [[line({ width: 2.25 }), smoothed(values)]] : []),
      ...(target ? [[ink('muted', { width: 1, dash: [5, 4] }), run.steps.map(() => target.value)]] : []),
    ];
    const options = {
      series: [{}, ...lines.map(([series]) => series)],
      axes: [
        axis({
          size: 28,
          values: (_, ticks) =>
            ticks.map((tick) => (Number.isInteger(tick) ? tick.toLocaleString('en') : '')),
        }),
        axis({ size: 52, space: 34, values: (_, ticks) => sign(ticks) }),
      ],
      cursor: { sync: { key: 'steps' }, y: false, points: { size: 7 } },
      hooks: {
        setCursor: [(plot) => say(plot.cursor.idx)],
        draw: target ? [named(target.name)] : [],
      },
    };
    chart(find(`#curve-${key}`), options, [run.steps, ...lines.map(([, data]) => data)]);
  }

  const spectrum = find('#spectrum');
  if (spectrum) {
    const { untrained, trained } = run.spectrum;
    const d = Math.max(untrained.length, trained.length);
    const largest = Math.max(...untrained, ...trained, 1e-30);
    // A logarithm has no zero: what is numerically nothing lies on the floor.
    const floor = largest * 1e-7;
    const values = (list) =>
      Array.from({ length: d }, (_, i) => (list[i] == null ? null : Math.max(list[i], floor)));
    const options = {
      series: [{}, ink('untrained', { width: 2, dash: [6, 4] }), ink('trained', { width: 2 })],
      scales: { y: { distr: 3 } },
      axes: [
        axis({ size: 28, label: 'dimension', labelSize: 18, labelFont: font, labelGap: 0 }),
        axis({
          size: 58,
          // Lines at the powers of ten only.
          grid: {
            stroke: () => colour('grid'),
            width: 1,
            filter: (_, ticks) => ticks.map((tick) => (Math.abs(Math.log10(tick) % 1) < 1e-6 ? tick : null)),
          },
          values: (_, ticks) =>
            ticks.map((tick) =>
              tick == null ? '' : tick >= 0.01 && tick < 1e4 ? String(tick) : minus(tick.toExponential(0)),
            ),
        }),
      ],
    };
    chart(spectrum, options, [
      Array.from({ length: d }, (_, i) => i + 1),
      values(untrained),
      values(trained),
    ]);
  }

  // ---- map ----

  function startMap({ layouts, label, image, sheet, texts, shapes }) {
    const area = find('#map-area');
    const canvas = find('canvas', area);
    const card = find('.card', area);
    const status = find('#map-status');
    const buttons = [...document.querySelectorAll('.classes button[data-label]')];
    const context = canvas.getContext('2d');
    const marks = shapes.map(({ outline, filled }) => ({ path: new Path2D(outline), filled }));
    const known = label
      .map((_, i) => i)
      .filter((i) => layouts.every(({ x, y }) => x[i] != null && y[i] != null));
    // A fixed shuffle, so that no class lies on top of all others.
    const order = [...known].sort(
      (a, b) => ((a * 2654435761) % 4294967296) - ((b * 2654435761) % 4294967296),
    );
    const choices = [...document.querySelectorAll('.choice button')];
    const still = matchMedia('(prefers-reduced-motion: reduce)');
    const range = (values) => {
      const list = known.map((i) => values[i]);
      return [Math.min(...list), Math.max(...list)];
    };
    const extents = layouts.map(({ x, y }) => [range(x), range(y)]);
    /** The layout that is shown, the one before it, and how far the marks are on their way. */
    let [shown, previous, way] = [0, 0, 1];
    const hidden = new Set();
    let emphasised = null;
    let selected = null;
    let place = () => [0, 0];

    const name = (i) => run.classNames[label[i]] ?? `class ${label[i]}`;
    const visible = (i) => !hidden.has(label[i]);

    function draw() {
      const ratio = devicePixelRatio || 1;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
      if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
      // One scale for both axes: distances on the map are distances on the plane.
      const room = 22;
      const placing = (at) => {
        const { x, y } = layouts[at];
        const [[left, right], [low, high]] = extents[at];
        const scale = Math.min(
          (width - 2 * room) / (right - left || 1),
          (height - 2 * room) / (high - low || 1),
        );
        return (i) => [
          width / 2 + (x[i] - (left + right) / 2) * scale,
          height / 2 - (y[i] - (low + high) / 2) * scale,
        ];
      };
      const [to, from] = [placing(shown), placing(previous)];
      const eased = way * way * (3 - 2 * way);
      place = (i) => {
        const [[tx, ty], [fx, fy]] = [to(i), from(i)];
        return [fx + (tx - fx) * eased, fy + (ty - fy) * eased];
      };
      const radius = known.length > 800 ? (width < 500 ? 2.9 : 3.9) : 5;
      const inks = new Map([...new Set(label)].map((each) => [each, colour(`c${each % 10}`)]));
      const paint = (i, size) => {
        const [px, py] = place(i);
        context.setTransform(ratio * size, 0, 0, ratio * size, ratio * px, ratio * py);
        const { path, filled } = marks[label[i] % marks.length];
        if (filled) {
          context.fillStyle = inks.get(label[i]);
          context.fill(path);
        } else {
          context.strokeStyle = inks.get(label[i]);
          context.lineWidth = 0.5;
          context.stroke(path);
        }
      };
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, canvas.width, canvas.height);
      for (const i of order) {
        if (!visible(i)) continue;
        context.globalAlpha = emphasised === null || emphasised === label[i] ? 0.85 : 0.1;
        paint(i, radius);
      }
      context.globalAlpha = 1;
      if (selected === null) return;
      const [px, py] = place(selected);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.fillStyle = colour('panel');
      context.strokeStyle = colour('text');
      context.lineWidth = 2;
      context.beginPath();
      context.arc(px, py, radius + 6, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
      paint(selected, radius + 1.5);
    }

    let asked = false;
    const redraw = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        draw();
      });
    };

    function select(i, aloud) {
      if (i === selected) return;
      selected = i;
      redraw();
      card.hidden = i === null;
      if (i === null) return;
      const percent = (at, of) => (of > 1 ? (100 * at) / (of - 1) : 0);
      if (sheet)
        find('.tile', card).style.backgroundPosition =
          `${percent(i % sheet.columns, sheet.columns)}% ${percent(Math.floor(i / sheet.columns), sheet.rows)}%`;
      const words = texts ? `${name(i)}: ${texts[i]}` : `${name(i)}, image ${image[i]}`;
      find('.name', card).textContent = words;
      const [px, py] = place(i);
      const [width, height] = [card.offsetWidth, card.offsetHeight];
      const cx = px + 16 + width > canvas.clientWidth ? px - 16 - width : px + 16;
      const cy = Math.min(Math.max(4, py - height / 2), canvas.clientHeight - height - 4);
      card.style.transform = `translate(${Math.round(Math.max(4, cx))}px, ${Math.round(cy)}px)`;
      if (aloud) status.textContent = words;
    }

    /** The visible point with the least cost, if any. */
    function nearest(cost) {
      let [best, least] = [null, Number.POSITIVE_INFINITY];
      for (const i of known) {
        const c = visible(i) ? cost(...place(i), i) : Number.POSITIVE_INFINITY;
        if (c < least) [best, least] = [i, c];
      }
      return best;
    }

    function point({ clientX, clientY }) {
      const box = canvas.getBoundingClientRect();
      const [mx, my] = [clientX - box.left, clientY - box.top];
      select(
        nearest((px, py) =>
          ((d) => (d > 400 ? Number.POSITIVE_INFINITY : d))((px - mx) ** 2 + (py - my) ** 2),
        ),
      );
    }
    canvas.addEventListener('pointermove', point);
    canvas.addEventListener('pointerdown', point);
    canvas.addEventListener('pointerleave', ({ pointerType }) => pointerType === 'mouse' && select(null));
    canvas.addEventListener('blur', () => select(null));

    const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    canvas.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') return select(null);
      const direction = directions[event.key];
      if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
      if (selected === null)
        return select(
          nearest((px, py) => (px - middle[0]) ** 2 + (py - middle[1]) ** 2),
          true,
        );
      const [sx, sy] = place(selected);
      const next = nearest((px, py, i) => {
        const along = (px - sx) * direction[0] + (py - sy) * direction[1];
        const across = Math.abs((px - sx) * direction[1]) + Math.abs((py - sy) * direction[0]);
        return i === selected || along <= 0 || across > along ? Number.POSITIVE_INFINITY : along + 2 * across;
      });
      if (next !== null) select(next, true);
    });

    for (const button of buttons) {
      const mark = Number(button.dataset.label);
      const emphasise = (which) => () => {
        emphasised = which !== null && hidden.has(which) ? null : which;
        redraw();
      };
      button.addEventListener('click', () => {
        const off = hidden.delete(mark) ? false : hidden.add(mark) && true;
        button.setAttribute('aria-pressed', String(!off));
        if (selected !== null && !visible(selected)) select(null);
        emphasise(mark)();
      });
      for (const [on, off] of [
        ['pointerenter', 'pointerleave'],
        ['focus', 'blur'],
      ]) {
        button.addEventListener(on, emphasise(mark));
        button.addEventListener(off, emphasise(null));
      }
    }
    for (const button of choices)
      button.addEventListener('click', () => {
        const next = Number(button.dataset.layout);
        if (next === shown) return;
        for (const other of choices) other.setAttribute('aria-pressed', String(other === button));
        select(null);
        [previous, shown, way] = [shown, next, still.matches ? 1 : 0];
        const began = performance.now();
        const move = (now) => {
          way = Math.min(1, Math.max(0, (now - began) / 600));
          draw();
          if (way < 1 && shown === next) requestAnimationFrame(move);
        };
        if (way < 1) requestAnimationFrame(move);
        else redraw();
        status.textContent = `Map of ${button.textContent}`;
      });
    find('#map-all').addEventListener('click', () => {
      hidden.clear();
      for (const button of buttons) button.setAttribute('aria-pressed', 'true');
      redraw();
    });
    new ResizeObserver(() => {
      select(null);
      redraw();
    }).observe(canvas);
    redraw();
    return redraw;
  }

  const redrawMap = run.map ? startMap(run.map) : () => {};
  dark.addEventListener('change', () => {
    for (const plot of charts) plot.redraw();
    redrawMap();
  });
})();
