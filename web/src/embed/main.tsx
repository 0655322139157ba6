import { render } from "preact";
import { Embed } from "./Embed";

const root = document.getElementById("app");
if (root !== null) render(<Embed />, root);
