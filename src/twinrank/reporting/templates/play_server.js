// Predictions of the server that this page comes from.
const network = {
  async models() {
    return (await asked("models")).models;
  },

  compare(model, left, right, resize) {
    return asked("compare", { model: model.name, left: left.file, right: right.file, levels: true, resize });
  },

  explain(model, left, right, resize) {
    return asked("explain", { model: model.name, left: left.file, right: right.file, resize });
  },
};

async function asked(path, body) {
  try {
    return await call(path, body);
  } catch (error) {
    if (error instanceof TypeError) throw new Error("The server does not answer. Is it still running?");
    throw error;
  }
}
