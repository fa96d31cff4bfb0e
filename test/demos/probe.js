// Stands before a demo's worker in the folder "probed" of the tests' server: counts what the GPU holds and compiles, and can say
// that its memory is used up. The page asks through a BroadcastChannel.
const channel = new BroadcastChannel('probe');
const held = new Map();
let exhausted = false;
const pipelines = { asked: 0, ready: 0 };
/** As they were when the page was told that points had moved. */
let atFirst = null;

channel.onmessage = ({ data }) => {
  if ('exhausted' in data) ({ exhausted } = data);
  else {
    const bytes = [...held.values()].reduce((a, b) => a + b, 0);
    channel.postMessage({ objects: held.size, bytes, pipelines, atFirst });
  }
};

const post = self.postMessage.bind(self);
self.postMessage = (message, options) => {
  if (message.drawn > 0) atFirst ??= { ...pipelines };
  post(message, options);
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

for (const name of ['createComputePipelineAsync', 'createRenderPipelineAsync'])
  wrap(
    GPUDevice,
    name,
    (create) =>
      function (descriptor) {
        pipelines.asked++;
        const creating = create.call(this, descriptor);
        creating.then(() => pipelines.ready++);
        return creating;
      },
  );

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
