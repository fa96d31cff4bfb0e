// Stands before a demo's worker in the folder "probed" of the tests' server: counts what the GPU holds, and can say that its
// memory is used up. The page asks through a BroadcastChannel.
const channel = new BroadcastChannel('probe');
const held = new Map();
let exhausted = false;

channel.onmessage = ({ data }) => {
  if ('exhausted' in data) ({ exhausted } = data);
  else channel.postMessage({ objects: held.size, bytes: [...held.values()].reduce((a, b) => a + b, 0) });
};

const wrap = (type, name, wrapper) => (type.prototype[name] = wrapper(type.prototype[name]));
const counted = (bytesOf) => (make) =>
  function (descriptor) {
    const made = make.call(this, descriptor);
    held.set(made, bytesOf(made));
    return made;
  };
const freed = (destroy) =>
  function () {
    held.delete(this);
    return destroy.call(this);
  };
wrap(
  GPUDevice,
  'createBuffer',
  counted(({ size }) => size),
);
wrap(
  GPUDevice,
  'createTexture',
  counted(({ width, height }) => 16 * width * height),
);
wrap(GPUBuffer, 'destroy', freed);
wrap(GPUTexture, 'destroy', freed);

const scopes = [];
wrap(
  GPUDevice,
  'pushErrorScope',
  (push) =>
    function (filter) {
      scopes.push(filter);
      return push.call(this, filter);
    },
);
wrap(
  GPUDevice,
  'popErrorScope',
  (pop) =>
    function () {
      const outOfMemory = scopes.pop() === 'out-of-memory' && exhausted;
      const error = pop.call(this);
      return outOfMemory ? error.then(() => new GPUOutOfMemoryError('the test wants it so')) : error;
    },
);
