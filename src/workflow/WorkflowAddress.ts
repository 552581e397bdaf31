/** Where a workflow lives: `workflow/TENANT/ID`. */
import { type Address, scopedAddress } from "../actor/Address.ts"

export const WORKFLOW = "workflow"

export const workflowAddress = (tenant: string, id: string): Address => scopedAddress(WORKFLOW, tenant, id)
