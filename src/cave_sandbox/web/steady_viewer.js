// Keeps a Neuroglancer viewer from losing layers while it reads a state on a slow machine.
//
// The viewer writes its state into its address 200 ms after a change, or 400 ms after the first of
// many. Where reading a state takes longer, it does so in the midst of that, trips over an annotation
// layer that it has not read yet, and drops the layer that it is reading (neuroglancer 2.41.2). So
// no time passes while a page's code runs; between its tasks it passes as ever.
{
  const read = Date.now.bind(Date);
  let now;
  Date.now = () => {
    if (now === undefined) {
      now = read();
      Promise.resolve().then(() => { now = undefined; });
    }
    return now;
  };
}
