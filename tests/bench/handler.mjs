// What a handler in Node does before its first poll: one client of the SDK.
import { RDSClient } from "@aws-sdk/client-rds";
import http from "node:http";

export const rds = new RDSClient({});
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
http.get({ host, port, path: "/2018-06-01/runtime/invocation/next" });
