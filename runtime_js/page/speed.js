// Which targets work here, how fast each is and what it needs, and a chart of its kernels.

export function duration(ms) {
  const [value, unit] = ms < 1 ? [1000 * ms, '\u00b5s'] : [ms, 'ms'];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

export function byteSize(bytes) {
  if (bytes < 1e3) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toPrecision(3)} kB` : `${(bytes / 1e6).toPrecision(3)} MB`;
}

// What is known of a target, in its card.
export function showTarget(card, found, fastest) {
  const [time, note] = card.querySelectorAll('output');
  card.classList.toggle('fastest', !!found && found.time === fastest);
  card.classList.toggle('missing', !!found && 'reason' in found);
  if (!found) return;
  if ('reason' in found) {
    time.textContent = 'not here';
    note.textContent = found.reason;
  } else {
    const { arena, textures } = found.memory;
    const times = found.time / fastest;
    time.textContent = duration(found.time);
    card.dataset.time = found.time;
    note.textContent = `${byteSize(arena)} memory`
      + (textures ? ` + ${byteSize(textures)} textures` : '')
      + (times > 1.05 ? `; ${Number(times.toPrecision(2))} \u00d7 as long as the fastest` : '');
  }
}

// One bar for each kernel, in the order in which they run.
export function kernelChart(table, kernels) {
  const sum = kernels.reduce((total, { time }) => total + time, 0) || 1;
  const top = Math.max(...kernels.map(({ time }) => time)) || 1;
  table.tBodies[0].replaceChildren(...kernels.map(({ kernel, calls, time }) => {
    const row = element('tr', time === top ? 'kernel best' : 'kernel');
    const name = element('th', '', kernel);
    name.scope = 'row';
    name.title = kernel;
    if (calls > 1) name.append(element('small', '', ` \u00d7 ${calls}`));
    const cell = element('td');
    const track = element('span', 'track');
    const fill = element('i');
    fill.style.width = `${100 * time / top}%`;
    track.append(fill);
    cell.append(track);
    const share = Math.round(100 * time / sum);
    row.append(name, cell, element('td', 'value', duration(time)),
      element('td', 'value', `${share || '< 1'} %`));
    return row;
  }));
}

// A model for a target, or null where that does not work here, with the reason in `found`.
export async function openTarget(api, target, canvas, found) {
  let reason;
  try {
    const model = await api.load({ target, canvas });
    if (target === 'auto' || model.target === target) return model;
    reason = model.skipped.map((one) => one.reason).join('; ');
    model.dispose();
  } catch (error) {
    reason = error.message;
  }
  found[target] = { reason };
  return null;
}

// All that is known, with the target `now` chosen.
export function showTargets(targets, cards, found, now) {
  const table = document.getElementById('kernels');
  const times = targets.map((target) => (found[target] || {}).time).filter((time) => time);
  for (const target of targets) {
    showTarget(cards[target], found[target], Math.min(...times));
    const radio = cards[target].querySelector('input');
    radio.disabled = !!found[target] && 'reason' in found[target];
    radio.checked = now === target;
  }
  const shown = found[now];
  table.hidden = !(shown && shown.kernels);
  table.caption.textContent = `Kernels on ${now}, in the order of a run`;
  if (!table.hidden) kernelChart(table, shown.kernels);
}

export async function measureTarget(model, given, canvas, found) {
  if (!model) return;
  const { target } = model;
  try {
    found[target] = await measureModel(model, given, canvas);
  } catch (error) {
    // The page says what is wrong with the inputs.
    delete found[target];
  }
  model.dispose();
}

// Opens models for the page, and measures each target on demand. `page` has the current `model`
// and `given()`, and `use(model)` replaces it.
export function startSpeed(api, config, page) {
  const section = document.getElementById('speed');
  const button = document.getElementById('measure');
  const canvas = document.createElement('canvas');
  const found = {};
  const cards = {};
  let switching = Promise.resolve();

  const render = () => showTargets(config.targets, cards, found, page.model.target);
  const open = (target) => openTarget(api, target, canvas, found);

  async function change(target) {
    const model = page.model.target === target ? null : await open(target);
    if (model) {
      page.model.dispose();
      await page.use(model);
    }
    render();
  }

  async function measureAll() {
    button.disabled = true;
    section.setAttribute('aria-busy', 'true');
    for (const target of config.targets) {
      cards[target].classList.add('busy');
      await measureTarget(await open(target), page.given(), canvas, found);
      cards[target].classList.remove('busy');
      render();
    }
    section.setAttribute('aria-busy', 'false');
    section.dataset.measured = 'true';
    button.textContent = 'Measure again';
    button.disabled = false;
  }

  for (const target of config.targets) {
    cards[target] = document.getElementById(`target-${target}`);
    cards[target].querySelector('input').addEventListener('change', () => {
      switching = switching.then(() => change(target));
    });
  }
  button.addEventListener('click', measureAll);
  return { open, render, measureAll, reason: (target) => found[target].reason };
}
