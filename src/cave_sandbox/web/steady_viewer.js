// Keeps a Neuroglancer viewer from losing layers while it reads a state on a slow machine.
//
// The viewer writes its state into its address 200 ms after a change, or 400 ms after the first of
// many. If reading a state takes longer, it does this in the middle, trips over an annotation
// layer that it has not read yet, and drops the layer that it is reading (neuroglancer 2.41.2). So
// the clock stands still while the page's code runs, and moves on between its tasks.
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
